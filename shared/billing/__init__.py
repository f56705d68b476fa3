"""What is sold: plans, credits, and the payments that Stripe takes for them."""
