"""The flows, in one process."""
