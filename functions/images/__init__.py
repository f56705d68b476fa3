"""Images made from a prompt, metered."""
