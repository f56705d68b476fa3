"""The ledger and admission, called directly in SQL."""
