"""Which provider is asked, in which order."""
