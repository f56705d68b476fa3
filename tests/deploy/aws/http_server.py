"""An HTTP server on loopback, for as long as a block lasts."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from infra.local.ports import LOOPBACK

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# Requests still under way at the end are cut off; 0 would wait for them without limit.
SHUTDOWN_S = 0.01


@contextlib.asynccontextmanager
async def served(answer: Answer, port: int = 0) -> AsyncIterator[str]:
    """Serve within the block, on a free port unless one is given; gives host and port."""
    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port, backlog=1024).start()
        yield f"{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
