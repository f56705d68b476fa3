"""What whoever operates the gateway sees, sets and stops."""
