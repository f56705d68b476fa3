"""What AWS Lambda is given: one deterministic zip per function, with only that function's dependencies."""
