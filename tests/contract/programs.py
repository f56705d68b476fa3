"""The clients of the table as programs of their own, which run scenarios side by side."""

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from infra.local.stack import ROOT
from tests.contract.matrix import CLIENTS
from tests.harness.tenants import Tenant, TestModel

# Longer than the longest silence that a client is tested with.
WITHIN_S = 90
ENDS_WITHIN_S = 5

# A client, one of its scenarios, who calls, which model, and what else the scenario reads: its `answer` or its `error`.
RunClient = Callable[..., "Told"]


class Told(dict[str, Any]):
    """What came of a scenario."""

    def __missing__(self, key: str) -> Any:
        raise AssertionError(f"the client has no {key}, but told {dict(self)}")


class Program:
    """One process with clients in it: a line of JSON asks for a scenario, another one tells what came of it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
            text=True,
        )
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()
        self._waiting: dict[int, Future[Told]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def run(self, asked: dict[str, Any]) -> Told:
        """Begin a scenario, wait for its end and return what it told: its `answer` or its `error`."""
        number = next(self._numbers)
        waiting: Future[Told] = Future()
        self._waiting[number] = waiting
        assert self._process.stdin is not None
        with self._writing:
            print(json.dumps({"id": number, **asked}), file=self._process.stdin, flush=True)
        told = waiting.result(WITHIN_S)
        assert "trace" not in told, told["trace"]
        return told

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(ENDS_WITHIN_S)
        self._reader.join(ENDS_WITHIN_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                told = json.loads(line)
                self._waiting.pop(told.pop("id")).set_result(Told(told))
        for waiting in self._waiting.values():
            waiting.set_exception(RuntimeError("the program ended"))


class Programs:
    """The clients of the table, each in its program, which starts when it is first asked for."""

    def __init__(self, commands: Mapping[str, tuple[str, ...]]) -> None:
        self._commands = commands
        self._started: dict[tuple[str, ...], Program] = {}
        self._starting = threading.Lock()

    def run(
        self, url: str, client: str, scenario: str, caller: Tenant | str, model: TestModel | str, **more: Any
    ) -> Told:
        """Run a scenario at this address; what is None of `more` is left to the client's own default."""
        return self._program_of(client).run(
            {
                "client": client,
                "scenario": scenario,
                "url": url,
                "apiKey": caller if isinstance(caller, str) else caller.api_key,
                "model": model if isinstance(model, str) else model.id,
                **{name: value for name, value in more.items() if value is not None},
            }
        )

    def version(self, client: str) -> str:
        """Return the version of the client's package in its program."""
        asked = {"client": client, "scenario": "version", "package": CLIENTS[client].package}
        return str(self._program_of(client).run(asked)["answer"])

    def stop(self) -> None:
        """End all of them."""
        for program in self._started.values():
            program.stop()

    def _program_of(self, client: str) -> Program:
        command = self._commands[client]
        with self._starting:
            if command not in self._started:
                self._started[command] = Program(command)
            return self._started[command]
