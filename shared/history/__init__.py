"""What is kept of conversations for those who had them."""
