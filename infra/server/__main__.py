"""All functions in one process, for the local stack and for a container.

python -m infra.server --port 8000 [--host 0.0.0.0] [--stop-limit-s 20]
"""

import argparse
from collections.abc import Callable

import uvicorn

from infra.server.gateway import Application, load_gateway

LOOPBACK = "127.0.0.1"
# Longer than the proxies that stand before a container keep theirs (Heroku's 90 s, nginx's 60): whoever closes first
# while the other sends loses a request, and a completion is not sent twice.
# source: https://devcenter.heroku.com/articles/http-routing#keepalives
KEEP_ALIVE_S = 100
# How long open streams may go on once the process is told to stop.
STOP_LIMIT_S = 5


def main(load: Callable[[], Application] = load_gateway) -> None:
    """Serve until told to stop; whose address a client's is, CLIENT_ADDRESS_SOURCE says and no header by itself."""
    parser = argparse.ArgumentParser(prog="python -m infra.server")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stop-limit-s", type=int, default=STOP_LIMIT_S)
    arguments = parser.parse_args()
    uvicorn.run(
        load(),
        host=arguments.host,
        port=arguments.port,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=arguments.stop_limit_s,
    )


if __name__ == "__main__":
    main()
