"""The caller's own account: what it has, what it used, what it is told, and its end."""
