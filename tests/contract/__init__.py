"""Official clients against the gateway, unchanged."""
