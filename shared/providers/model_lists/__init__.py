"""The providers' own lists of their models, each in its own format, read into one shape."""
