"""Tests of the deployable functions, over HTTP and with real stores."""
