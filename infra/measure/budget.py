"""What the chat function, the one that every customer waits for, may cost at most."""

# Unpacked, with its packages and byte-code, on either platform. A third of it is cryptography, which seals the answers
# that are kept for retries; it is imported at its first use.
MAX_CHAT_BYTES = 50_000_000
# Of a cold start's price, this much may be ours: imports of FastAPI and aiohttp are the rest.
MAX_CHAT_RATIO = 1.25
