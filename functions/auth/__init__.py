"""Sign-in: a token of Privy's becomes an account."""
