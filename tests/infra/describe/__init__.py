"""What is written from the code."""
