"""The gateway as Vercel runs it: every bundle of the build in a process of its own, behind an edge and its crons."""

import http.client
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from infra.local.environment import gateway_environment
from infra.local.stack import LocalStack
from infra.vercel_build import PROJECT
from infra.vercel_output import read_output
from tests.deploy.same_answers import CRON_SECRET
from tests.deploy.vercel_edge import Edge
from tests.deploy.vercel_function import VercelFunction

CRON_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class CronAnswer:
    """What a job answered to the platform's scheduler."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class VercelGateway:
    """The running gateway; crons: the paths that the platform calls to their schedules."""

    url: str
    functions: Mapping[str, VercelFunction]
    crons: Mapping[str, str]
    cron_secret: str = field(repr=False)

    def fire_cron(self, path: str) -> CronAnswer:
        """Call a job as the platform does when its time has come.

        raises  KeyError when the build has no such cron
        source  https://vercel.com/docs/cron-jobs/manage-cron-jobs#securing-cron-jobs
        """
        if path not in self.crons:
            raise KeyError(path)
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=CRON_WITHIN_S)
        headers = {"User-Agent": "vercel-cron/1.0", "Authorization": f"Bearer {self.cron_secret}"}
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return CronAnswer(response.status, response.read())
        finally:
            connection.close()


@contextmanager
def vercel_gateway(stack: LocalStack) -> Iterator[VercelGateway]:
    """Boot every bundle against the stack's stores; all of it ends with the block.

    raises  BuildMissing, FunctionRefused
    """
    output, variables = read_output(PROJECT), vercel_variables(stack)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        functions: dict[str, VercelFunction] = {}
        for bundle in output.bundles:
            functions[bundle.name] = VercelFunction(stack, bundle, Path(folder), variables).start()
            running.callback(functions[bundle.name].stop)
        edge = Edge(output.routes, functions).open()
        running.callback(edge.close)
        yield VercelGateway(edge.url, functions, output.crons, CRON_SECRET)


def vercel_variables(stack: LocalStack) -> dict[str, str]:
    """Return the project's variables: Vercel gives all of them to each of its functions."""
    return {
        **gateway_environment(stack, {}),
        "CLIENT_ADDRESS_SOURCE": "vercel",
        "CRON_SECRET": CRON_SECRET,
    }
