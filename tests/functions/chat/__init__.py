"""The chat function as a client sees it, and what it leaves in the books."""
