"""Run the double as a process: `python -m infra.local.stripe_double --port N --webhook-url URL`.

The endpoint's secret comes from the environment, as STRIPE_WEBHOOK_SECRET.
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from infra.local.stripe_double.app import start_double
from infra.local.stripe_double.deliveries import Endpoint

SECRET_VARIABLE = "STRIPE_WEBHOOK_SECRET"


def main() -> None:
    """Serve until SIGTERM or SIGINT, then end at once."""
    parser = argparse.ArgumentParser(prog="stripe-double", description="Stripe's API, pages and webhooks on loopback.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--webhook-url", help=f"where events go, signed with the secret in {SECRET_VARIABLE}")
    parser.add_argument("--now", type=int, help="a clock that stands still there until it is moved")
    parser.add_argument("--seed", type=int, help="make the same ids in every run")
    parser.add_argument("--kept-in", type=Path, help="a file for what it remembers, which a later start finds")
    arguments = parser.parse_args()
    endpoints = []
    if arguments.webhook_url:
        if not os.environ.get(SECRET_VARIABLE):
            parser.error(f"{SECRET_VARIABLE} is not set")
        endpoints.append(Endpoint(arguments.webhook_url, os.environ[SECRET_VARIABLE]))
    asyncio.run(_serve(arguments, endpoints))


async def _serve(arguments: argparse.Namespace, endpoints: list[Endpoint]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopped.set)
    runner, url = await start_double(
        arguments.port, now=arguments.now, seed=arguments.seed, endpoints=endpoints, kept_in=arguments.kept_in
    )
    print(f"stripe double ready on {url}", flush=True)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    main()
