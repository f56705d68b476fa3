"""The measuring of functions."""
