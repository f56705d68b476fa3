"""Re-adds the books of any database and says what does not hold, what is stuck and what waits for a person."""
