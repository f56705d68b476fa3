"""Tests of shared/ledger."""
