"""One folder an endpoint group; each is deployed as its own function."""
