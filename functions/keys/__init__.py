"""API keys: made, seen, changed, rotated and ended by those whose they are."""
