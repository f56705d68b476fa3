"""The packaging, without building anything from a registry."""
