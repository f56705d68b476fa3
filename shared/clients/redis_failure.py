"""How both Redis clients say that Redis did not answer; apart from them, so that neither needs the other's library."""


class RedisUnavailable(Exception):
    """Redis was too slow, out of reach, or answered something that is no answer; what it did is not known."""
