"""Inference: chat completions, metered."""
