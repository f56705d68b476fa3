"""Tests of the clients, over HTTP."""
