"""The catalog function as a client sees it."""
