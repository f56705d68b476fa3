"""Accounts: who someone is, and what is his."""
