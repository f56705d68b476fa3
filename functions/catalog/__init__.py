"""What there is: health, models, providers. Public, without a key."""
