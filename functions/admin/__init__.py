"""Routes of whoever operates the gateway."""
