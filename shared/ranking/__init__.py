"""What is used most: models and public apps, by period."""
