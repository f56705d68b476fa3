"""One vendor per file; the only code that speaks to the outside."""
