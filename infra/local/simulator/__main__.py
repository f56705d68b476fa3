"""Run the simulator as a process: `python -m infra.local.simulator --port N`."""

import argparse
import asyncio
import signal

from infra.local.simulator.app import HOST, start_simulator


def main() -> None:
    """Serve until SIGTERM or SIGINT, then end at once, whatever is still being answered."""
    parser = argparse.ArgumentParser(prog="simulator", description="OpenAI-compatible providers, scripted per request.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    asyncio.run(_serve(parser.parse_args().port))


async def _serve(port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopped.set)
    runner, bound_port = await start_simulator(port)
    print(f"simulator ready on http://{HOST}:{bound_port}", flush=True)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    main()
