"""One use case per file; the only place where domains meet."""
