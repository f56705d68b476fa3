"""Stripe: what is sold there, what was paid, refunded and disputed, and who may tell us of it."""
