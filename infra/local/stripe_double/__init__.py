"""The Stripe double: a stateful stand-in for Stripe's API, its pages and its webhooks, in one process on loopback."""
