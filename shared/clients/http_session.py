"""The pooled HTTP session that a metered function shares between providers, Supabase and Upstash."""

import aiohttp

# Shorter than any provider keeps an idle connection: a request sent into one that the other side has closed is lost.
KEEP_ALIVE_S = 15.0
# Bytes that wait for a slow reader before the provider is made to wait: what one open stream may cost in memory.
READ_BUFFER_BYTES = 64 * 1024


def open_session() -> aiohttp.ClientSession:
    """Open the session; whoever opens it closes it. It has no time limit of its own: every call states one."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=READ_BUFFER_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        trust_env=False,
    )
