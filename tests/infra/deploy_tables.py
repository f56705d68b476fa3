"""Where a deploy file sends a request: in vercel.json the first match has it, in serverless.yml the nearest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.server.route_patterns import compile_route

JOBS_PATH = "/internal/jobs/"
SEGMENT = re.compile(r"\{(?P<name>\w+)(?P<greedy>\+)?\}|(?P<literal>[^/]*)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a deploy file; of those that match the lowest rank wins. Without methods it takes all."""

    source: str
    group: str
    pattern: re.Pattern[str]
    rank: tuple[int, ...]
    methods: frozenset[str] = frozenset()

    @property
    def is_catch_all(self) -> bool:
        """Whether it is there for what nothing else takes."""
        return self.source in ("/", "/(.*)", "/{proxy+}")


@dataclass(frozen=True, slots=True)
class Table:
    """One deploy file: its functions, where it sends requests, and the jobs that it starts by the clock."""

    file: str
    groups: frozenset[str]
    entries: tuple[Entry, ...]
    jobs: frozenset[str]

    def entry_at(self, method: str, path: str) -> Entry | None:
        """Return what takes the request; a path whose entry does not take the method is answered by nobody."""
        matching = [entry for entry in self.entries if entry.pattern.fullmatch(path)]
        best = min((entry.rank for entry in matching), default=None)
        nearest = (entry for entry in matching if entry.rank == best)
        return next((entry for entry in nearest if not entry.methods or method in entry.methods), None)


def vercel_table(settings: Mapping[str, Any]) -> Table:
    """Read vercel.json: the first rewrite that matches wins."""
    rewrites = [(each["source"], each["destination"]["service"]) for each in settings["rewrites"]]
    return Table(
        "vercel.json",
        frozenset(settings["services"]),
        tuple(Entry(source, group, compile_route(source), (index,)) for index, (source, group) in enumerate(rewrites)),
        frozenset(cron["path"].removeprefix(JOBS_PATH) for cron in settings["crons"]),
    )


def aws_table(functions: Mapping[str, Mapping[str, Any]]) -> Table:
    """Read the functions of serverless.yml: a name is nearer than {name}, and that than {name+}.

    source  https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-settings-method-request.html
    """
    events = [(group, event) for group, block in functions.items() for event in block["events"]]
    return Table(
        "serverless.yml",
        frozenset(functions),
        tuple(_aws_entry(group, event["http"]) for group, event in events if "http" in event),
        frozenset(event["schedule"]["input"]["job"] for _, event in events if "schedule" in event),
    )


def _aws_entry(group: str, event: Mapping[str, str]) -> Entry:
    segments = [SEGMENT.fullmatch(segment) for segment in event["path"].split("/")]
    patterns, ranks = zip(*(_read_segment(segment) for segment in segments), strict=True)
    method = event["method"].upper()
    methods = frozenset() if method == "ANY" else frozenset({method})
    return Entry(event["path"], group, re.compile("/".join(patterns)), ranks, methods)


def _read_segment(segment: re.Match[str] | None) -> tuple[str, int]:
    assert segment is not None, "a path of serverless.yml that API Gateway does not take"
    if not segment["name"]:
        return re.escape(segment["literal"]), 0
    return (".+", 2) if segment["greedy"] else ("[^/]+", 1)
