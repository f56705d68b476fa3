"""Requests, tokens and concurrency per minute, in Redis."""
