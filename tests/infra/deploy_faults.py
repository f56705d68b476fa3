"""What is wrong between the applications and the deploy files, each fault in a sentence."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match

from tests.infra.deploy_tables import JOBS_PATH, Entry, Table

FALLBACK_GROUP = "catalog"
JOBS_GROUP = "scheduled"
# Every application tells of its own readiness; from outside it is the fallback's.
SHARED_PATHS = frozenset({"/healthz"})
UNKNOWN_PATHS = ("/", "/nothing", "/v1/nothing/here", "/v1", "/internal/nothing", "/.well-known/nothing")
PARAMETER = re.compile(r"\{\w+(?P<is_path>:path)?\}")

Apps = Mapping[str, FastAPI]


@dataclass(frozen=True, slots=True)
class Route:
    """One route of an application, with a path that it answers."""

    group: str
    path: str
    methods: frozenset[str]


def find_faults(tables: Collection[Table], apps: Apps, jobs: Collection[str]) -> list[str]:
    """Return every fault; no fault, and each request reaches the one function that answers it."""
    routes = [route for group, app in apps.items() for route in list_routes(group, app)]
    faults = [*_doubled(routes, apps)]
    for table in tables:
        faults += _undeployed(table, apps)
        faults += _misled(table, routes)
        faults += _unanswered(table)
        faults += _idle(table, routes)
        faults += _unscheduled(table, jobs)
    return faults


def list_routes(group: str, app: FastAPI) -> list[Route]:
    """Return the application's routes; an id in a path may hold slashes where the route takes them."""
    routes = [route for route in _flat(app.routes) if isinstance(route, APIRoute) and route.path not in SHARED_PATHS]
    return [Route(group, PARAMETER.sub(_example, route.path), frozenset(route.methods or ())) for route in routes]


def _example(parameter: re.Match[str]) -> str:
    return "some/id" if parameter["is_path"] else "id"


def _flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Look into the routers that an application includes; ours are included without a prefix."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _flat(included.routes)


def _answers(app: FastAPI, method: str, path: str) -> bool:
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)


def _doubled(routes: Iterable[Route], apps: Apps) -> Iterator[str]:
    for route in routes:
        for method in sorted(route.methods):
            answering = [group for group, app in apps.items() if _answers(app, method, route.path)]
            if answering != [route.group]:
                by = ", ".join(answering) or "no application"
                yield f"{method} {route.path} of {route.group} is answered by {by}"


def _undeployed(table: Table, apps: Apps) -> Iterator[str]:
    yield from (f"{table.file} does not deploy functions/{group}" for group in sorted(set(apps) - table.groups))
    yield from (f"{table.file} deploys {group}, which functions/ lacks" for group in sorted(table.groups - set(apps)))


def _misled(table: Table, routes: Iterable[Route]) -> Iterator[str]:
    for route in routes:
        for method in sorted(route.methods | {"OPTIONS"}):
            entry = table.entry_at(method, route.path)
            if entry is None or entry.group != route.group:
                where = "nobody" if entry is None else f"{entry.group} by {entry.source}"
                yield f"{table.file} sends {method} {route.path} to {where} instead of {route.group}"


def _unanswered(table: Table) -> Iterator[str]:
    for path in UNKNOWN_PATHS:
        entry = table.entry_at("GET", path)
        if entry is None or entry.group != FALLBACK_GROUP:
            yield f"{table.file} does not send the unknown path {path} to {FALLBACK_GROUP}"


def _idle(table: Table, routes: Iterable[Route]) -> Iterator[str]:
    used: set[Entry | None] = {table.entry_at(method, route.path) for route in routes for method in route.methods}
    for entry in table.entries:
        if entry not in used and not entry.is_catch_all:
            yield f"{table.file} leads no route through {entry.source}"


def _unscheduled(table: Table, jobs: Collection[str]) -> Iterator[str]:
    yield from (f"{table.file} never starts the job {job}" for job in sorted(set(jobs) - table.jobs))
    yield from (f"{table.file} starts {job}, which is no job" for job in sorted(table.jobs - set(jobs)))
    for job in sorted(table.jobs):
        entry = table.entry_at("GET", JOBS_PATH + job)
        if entry is None or entry.group != JOBS_GROUP:
            yield f"{table.file} does not send {JOBS_PATH}{job} to {JOBS_GROUP}"
