"""Runs what is deployed in a moto server, until it is told to stop.

python -m tests.deploy.aws --moto-port N --folder F --logs F --rest-port N --lambda-port N --url FUNCTION=N
"""

import argparse
import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.aws.account import Account
from tests.deploy.aws.deployed import Deployed, read_deployed
from tests.deploy.aws.function_url import FunctionUrlFront
from tests.deploy.aws.functions import FunctionInstances, unpack
from tests.deploy.aws.http_server import served
from tests.deploy.aws.image import make_image
from tests.deploy.aws.lambda_api import LambdaApi
from tests.deploy.aws.rest_api import RestApiFront


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the services answer."""

    rest_api: int
    lambda_api: int
    function_urls: dict[str, int]


async def serve(account: Account, folder: Path, logs: Path, ports: Ports) -> None:
    """Unpack the functions and serve them; the REST API comes last, so that it says when all is ready."""
    must_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, must_stop.set)
    deployed = await asyncio.to_thread(read_deployed, account)
    async with AsyncExitStack() as ending:
        functions = await _make_functions(account, deployed, folder, logs, ending)
        lambda_api = LambdaApi(functions)
        ending.push_async_callback(lambda_api.close)
        await ending.enter_async_context(served(lambda_api.answer, ports.lambda_api))
        for name, port in ports.function_urls.items():
            is_streamed = deployed.functions[name].url_invoke_mode == "RESPONSE_STREAM"
            front = FunctionUrlFront(functions[name], is_streamed)
            await ending.enter_async_context(served(front.answer, port))
        await ending.enter_async_context(served(RestApiFront(deployed.api, functions).answer, ports.rest_api))
        await must_stop.wait()


async def _make_functions(
    account: Account, deployed: Deployed, folder: Path, logs: Path, ending: AsyncExitStack
) -> dict[str, FunctionInstances]:
    (folder / "image").mkdir()
    image = make_image(folder / "image")
    functions: dict[str, FunctionInstances] = {}
    for name, function in deployed.functions.items():
        unpacked = await asyncio.to_thread(unpack, function, account, folder)
        log = ending.enter_context((logs / f"{name}.log").open("ab"))
        functions[name] = FunctionInstances(unpacked, image, log)
        ending.push_async_callback(functions[name].close)
    return functions


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser()
    for name in ("--moto-port", "--rest-port", "--lambda-port"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--folder", "--logs"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--url", action="append", default=[])
    arguments = parser.parse_args()
    urls = {name: int(port) for name, _, port in (url.partition("=") for url in arguments.url)}
    ports = Ports(arguments.rest_port, arguments.lambda_port, urls)
    asyncio.run(serve(Account(arguments.moto_port), arguments.folder, arguments.logs, ports))


if __name__ == "__main__":
    main()
