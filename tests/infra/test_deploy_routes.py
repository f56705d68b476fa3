"""Every route of every function is deployed, on both platforms and to one function alone."""

import copy
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI

from functions.scheduled.jobs import JOBS
from infra.aws.template import read_template
from infra.package.groups import ROOT, find_groups
from tests.infra.deploy_faults import find_faults, list_routes
from tests.infra.deploy_tables import aws_table, vercel_table


@dataclass(slots=True)
class Deployment:
    """What is checked against each other; a test alters a copy of it."""

    vercel: dict[str, Any]
    aws: dict[str, Any]
    apps: dict[str, FastAPI]

    def faults(self) -> list[str]:
        return find_faults([vercel_table(self.vercel), aws_table(self.aws)], self.apps, list(JOBS))


@pytest.fixture
def deployment() -> Deployment:
    apps = {group.name: importlib.import_module(f"functions.{group.name}.app").app for group in find_groups()}
    vercel = json.loads((ROOT / "vercel.json").read_text())
    return Deployment(copy.deepcopy(vercel), copy.deepcopy(read_template()["functions"]), apps)


def test_every_route_reaches_the_one_function_that_answers_it(deployment: Deployment) -> None:
    faults = deployment.faults()
    assert not faults, "\n".join(faults)


def test_every_function_has_routes_and_those_of_the_contract_are_among_them(deployment: Deployment) -> None:
    routes = {group: list_routes(group, app) for group, app in deployment.apps.items()}
    assert [group for group, found in routes.items() if not found] == []
    found = {(method, route.path) for group in routes for route in routes[group] for method in route.methods}
    assert {("POST", "/v1/chat/completions"), ("GET", "/v1/models/some/id"), ("GET", "/models")} <= found


def without_a_service(deployment: Deployment) -> None:
    del deployment.vercel["services"]["chat"]


def without_a_function(deployment: Deployment) -> None:
    del deployment.aws["chat"]


def with_a_function_that_is_not_there(deployment: Deployment) -> None:
    deployment.vercel["services"]["paintings"] = {}


def without_a_rewrite(deployment: Deployment) -> None:
    deployment.vercel["rewrites"] = [
        each for each in deployment.vercel["rewrites"] if each["destination"]["service"] != "chat"
    ]


def without_an_event(deployment: Deployment) -> None:
    deployment.aws["chat"]["events"] = []


def with_one_method_only(deployment: Deployment) -> None:
    deployment.aws["chat"]["events"][0]["http"]["method"] = "post"


def with_the_catch_all_first(deployment: Deployment) -> None:
    deployment.vercel["rewrites"].insert(0, deployment.vercel["rewrites"].pop())


def with_a_catch_all_to_another(deployment: Deployment) -> None:
    deployment.vercel["rewrites"][-1]["destination"]["service"] = "chat"


def with_a_rewrite_that_nothing_needs(deployment: Deployment) -> None:
    deployment.vercel["rewrites"].insert(0, {"source": "/v1/paintings/(.*)", "destination": {"service": "chat"}})


def with_a_nearer_event_of_another(deployment: Deployment) -> None:
    deployment.aws["chat"]["events"].append({"http": {"path": "/v1/models/{id}/{name}", "method": "any"}})


def with_a_route_in_two_functions(deployment: Deployment) -> None:
    deployment.apps["catalog"] = FastAPI(routes=[*deployment.apps["catalog"].routes, *deployment.apps["chat"].routes])


def with_a_new_function(deployment: Deployment) -> None:
    deployment.apps["paintings"] = FastAPI()
    deployment.apps["paintings"].get("/v1/paintings/{name}")(lambda name: name)


def with_a_job_that_is_not_there(deployment: Deployment) -> None:
    deployment.vercel["crons"][0]["path"] = "/internal/jobs/none"


def without_a_schedule(deployment: Deployment) -> None:
    deployment.aws["scheduled"]["events"] = [
        each for each in deployment.aws["scheduled"]["events"] if "schedule" not in each
    ]


@pytest.mark.parametrize(
    ("alter", "fault"),
    [
        (without_a_service, "vercel.json does not deploy functions/chat"),
        (without_a_function, "serverless.yml does not deploy functions/chat"),
        (with_a_function_that_is_not_there, "vercel.json deploys paintings, which functions/ lacks"),
        (
            without_a_rewrite,
            "vercel.json sends POST /v1/chat/completions to catalog by /(.*) instead of chat",
        ),
        (
            without_an_event,
            "serverless.yml sends POST /v1/chat/completions to catalog by /{proxy+} instead of chat",
        ),
        (with_one_method_only, "serverless.yml sends OPTIONS /v1/chat/completions to nobody instead of chat"),
        (with_the_catch_all_first, "vercel.json leads no route through /v1/chat/completions"),
        (with_a_catch_all_to_another, "vercel.json does not send the unknown path /nothing to catalog"),
        (with_a_rewrite_that_nothing_needs, "vercel.json leads no route through /v1/paintings/(.*)"),
        (
            with_a_nearer_event_of_another,
            "serverless.yml sends GET /v1/models/some/id to chat by /v1/models/{id}/{name} instead of catalog",
        ),
        (with_a_route_in_two_functions, "POST /v1/chat/completions of chat is answered by catalog, chat"),
        (with_a_new_function, "vercel.json does not deploy functions/paintings"),
        (with_a_new_function, "serverless.yml sends GET /v1/paintings/id to catalog by /{proxy+} instead of paintings"),
        (with_a_job_that_is_not_there, "vercel.json starts none, which is no job"),
        (without_a_schedule, "serverless.yml never starts the job settlement_sweep"),
    ],
)
def test_a_mistake_in_a_deploy_file_or_an_application_is_found(
    deployment: Deployment, alter: Callable[[Deployment], None], fault: str
) -> None:
    alter(deployment)
    assert fault in deployment.faults()
