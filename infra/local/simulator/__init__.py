"""The provider simulator: several OpenAI-compatible upstreams in one scriptable, deterministic process."""
