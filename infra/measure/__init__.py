"""What a function carries into a cold start: its size, and what importing it costs."""
