"""The Lambda service: as many instances of each function as are busy at once, kept for the next event."""

import asyncio
import io
import uuid
import zipfile
from pathlib import Path
from typing import IO

from tests.deploy.aws.account import Account
from tests.deploy.aws.deployed import DeployedFunction
from tests.deploy.aws.image import Image
from tests.deploy.aws.instance import Instance, Unpacked, start_instance
from tests.deploy.aws.invocation import FunctionError, Invocation

# Lambda starts up to a thousand. Here the fifth request is refused, as AWS refuses the thousand and first; an event
# that nobody waits for waits itself.
MAX_INSTANCES = 4


class FunctionInstances:
    """The instances of one function."""

    def __init__(self, unpacked: Unpacked, image: Image, log: IO[bytes]) -> None:
        self._unpacked = unpacked
        self._image = image
        self._log = log
        self._free_places = asyncio.Semaphore(MAX_INSTANCES)
        self._started: list[Instance] = []
        self._idle: list[Instance] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def function(self) -> DeployedFunction:
        """What was deployed."""
        return self._unpacked.function

    @property
    def account(self) -> Account:
        """The account as the function's role sees it."""
        return self._unpacked.account

    @property
    def is_full(self) -> bool:
        """Whether every instance that there may be is busy."""
        return self._free_places.locked()

    def invoke(self, event: bytes, request_id: str | None = None) -> Invocation:
        """Begin to handle an event; it is handled to its end, whoever waits for the answer."""
        invocation = Invocation(event, self.function.timeout_s, request_id or str(uuid.uuid4()))
        task = asyncio.create_task(self._run(invocation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return invocation

    async def close(self) -> None:
        """End every instance."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(instance.end() for instance in self._started))

    async def _run(self, invocation: Invocation) -> None:
        async with self._free_places:
            try:
                instance = self._idle.pop() if self._idle else await self._start()
            except FunctionError as error:
                invocation.fail(error)
                return
            if await instance.run(invocation):
                self._idle.append(instance)
            else:
                await instance.end()

    async def _start(self) -> Instance:
        instance = await start_instance(self._unpacked, self._image, self._log)
        self._started.append(instance)
        try:
            await instance.wait_ready()
        except FunctionError:
            await instance.end()
            raise
        return instance


def unpack(function: DeployedFunction, account: Account, folder: Path) -> Unpacked:
    """Lay out a function's uploaded zip as Lambda does, its programs executable as the zip says."""
    task_root = folder / function.name
    with zipfile.ZipFile(io.BytesIO(function.read_code(account))) as code:
        code.extractall(task_root)
        for entry in code.infolist():
            mode = entry.external_attr >> 16 & 0o777
            if mode & 0o111:
                (task_root / entry.filename).chmod(mode)
    return Unpacked(function, task_root, account.assume_role(function.role_arn))
