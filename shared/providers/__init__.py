"""Model providers as records and dialects as pure functions; no I/O."""
