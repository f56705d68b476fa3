"""The vocabulary of the gateway: money, identifiers, errors, time, log, settings."""
