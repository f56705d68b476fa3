"""All functions in one process, routed as the platforms route them."""
