"""API keys: their format, checksum and fingerprints."""
