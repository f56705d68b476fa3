"""What an account used and paid: its ledger lines, its requests, and their sums."""
