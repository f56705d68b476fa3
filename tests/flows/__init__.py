"""The whole path under load and in outages: real processes, asked over HTTP."""
