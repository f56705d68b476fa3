"""What is given once to a person: trials, codes, referrals."""
