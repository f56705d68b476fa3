"""The Python clients as a customer's program uses them; run.py runs them in processes of their own."""
