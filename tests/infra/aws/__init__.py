"""Tests of infra/aws that need no AWS; those that need one stand in tests/deploy."""
