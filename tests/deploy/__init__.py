"""The built artefacts, run as the platforms run them."""
