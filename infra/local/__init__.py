"""The whole stack on one machine: what `make dev` and the tests start."""
