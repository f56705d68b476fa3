"""Wallets, holds and settlements; the money itself moves in SQL."""
