"""Tests of the shared layers."""
