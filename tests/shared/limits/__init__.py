"""Tests of the limiter, against a real Redis behind its REST interface."""
