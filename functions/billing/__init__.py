"""Plans, trials, payments, codes: what is bought and what is given."""
