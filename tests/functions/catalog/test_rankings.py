"""GET /ranking/models and /ranking/apps, from requests that were made to what everybody reads of them."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.functions.catalog.client import get
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

SECRET = "a cron secret of the tests"
JOB = "/internal/jobs/ranking_sync"
READ_APP = "select request -> 'app' from gateway.usage_lines where account_id = %s"


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


async def sync(gateway: RunningGateway) -> None:
    assert (await Holder(gateway, SECRET).call("POST", JOB)).status == 200


async def find(gateway: RunningGateway, path: str, name: str, **query: Any) -> dict[str, Any] | None:
    """Read a ranking page by page until it names what is looked for."""
    offset = 0
    while True:
        answer = await get(gateway, path, {"limit": 100, "offset": offset, **query})
        assert answer.status == 200, answer.raw
        assert answer.headers["Cache-Control"].startswith("public, max-age=")
        for place in answer.json["data"]:
            if name in (place.get("model"), place.get("app")):
                return dict(place)
        if not answer.json["has_more"]:
            return None
        offset += 100


def app_headers(model: TestModel) -> dict[str, str]:
    host = model.id.replace("test/", "app-")
    return {"HTTP-Referer": f"https://{host}.example/", "X-Title": "An App"}


async def test_what_was_used_is_ranked_and_an_app_once_its_key_lets_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=40,prompt_tokens=60")
    owner = owner_of(gateway, customer)
    for _ in range(2):
        assert (await owner.complete(model, headers=app_headers(model))).status == 200
    await sync(gateway)
    place = await find(gateway, "/ranking/models", model.id, period="day")
    assert place is not None
    tokens = 2 * (60 + 40)
    assert (place["tokens"], place["requests"], place["author"]) == (tokens, 2, "test")
    assert (place["trend_percent"], place["trend_direction"], place["period"]) == (None, "new", "day")
    address = app_headers(model)["HTTP-Referer"].rstrip("/")
    assert await find(gateway, "/ranking/apps", address) is None

    assert not (await owner.read(owner))["is_app_public"]
    assert (await owner.change(owner, is_app_public=True))["is_app_public"]
    assert (await owner.complete(model, headers=app_headers(model))).status == 200
    await sync(gateway)
    app = await find(gateway, "/ranking/apps", address)
    assert app is not None
    # What was asked before stays unnamed.
    assert (app["title"], app["tokens"], app["requests"]) == ("An App", tokens // 2, 1)
    await owner.change(owner, is_app_public=False)
    await sync(gateway)
    assert await find(gateway, "/ranking/apps", address) is None


async def test_a_key_may_be_made_public_from_the_start_and_stays_so_under_other_changes(
    gateway: RunningGateway, tenant: Tenants
) -> None:
    owner = owner_of(gateway, tenant())
    key = await owner.make(name="public", is_app_public=True)
    assert (await owner.read(key))["is_app_public"]
    assert (await owner.change(key, max_requests=9))["is_app_public"]
    assert (await owner.create(name="other", is_app_public="yes")).status == 400


async def test_its_owner_sees_the_app_of_each_request(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=1")
    owner = owner_of(gateway, customer)
    named = await owner.complete(model, headers=app_headers(model))
    unnamed = await owner.complete(model, headers={"X-Title": "An App", "Referer": "https://page.example/"})
    lines = (await owner.call("GET", "/user/activity")).json["data"]
    apps = {line["id"]: line["app"] for line in lines}
    address = app_headers(model)["HTTP-Referer"].rstrip("/")
    assert apps == {named.generation_id: address, unnamed.generation_id: None}
    generation = await owner.call("GET", f"/v1/generations/{named.generation_id}")
    assert generation.json["request"]["app"] == address
    stored = run_sql(customer.database_url, READ_APP, customer.account_id)
    assert sorted(stored, key=str) == [(None,), ({"url": address, "title": "An App"},)]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/embeddings"])
async def test_every_way_of_asking_names_its_app(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, path: str
) -> None:
    customer = tenant()
    model = make_model.embedding_model("tokens=1") if path == "/v1/embeddings" else make_model("tokens=1")
    body = {"model": model.id, "input": "hello"}
    if path == "/v1/messages":
        body = {"model": model.id, "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}  # type: ignore[dict-item]
    answer = await owner_of(gateway, customer).call("POST", path, body, app_headers(model))
    assert answer.status == 200, answer.raw
    ((app,),) = run_sql(customer.database_url, READ_APP, customer.account_id)
    assert app["title"] == "An App"


async def test_a_test_key_s_requests_are_ranked_nowhere(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    model = make_model()
    customer: Tenant = tenant(environment="test")
    owner = owner_of(gateway, customer)
    await owner.change(owner, is_app_public=True)
    assert (await owner.complete(model, headers=app_headers(model))).status == 200
    await sync(gateway)
    for name in (model.id, "simulated/echo"):
        assert await find(gateway, "/ranking/models", name) is None
    assert await find(gateway, "/ranking/apps", app_headers(model)["HTTP-Referer"].rstrip("/")) is None


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/ranking/models", {"period": "year"}),
        ("/ranking/models", {"source": "elsewhere"}),
        ("/ranking/models", {"limit": 0}),
        ("/ranking/models", {"limit": 101}),
        ("/ranking/models", {"offset": -1}),
        ("/ranking/apps", {"period": "DAY"}),
    ],
)
async def test_what_is_no_ranking_is_refused(gateway: RunningGateway, path: str, query: dict[str, Any]) -> None:
    answer = await get(gateway, path, query)
    assert (answer.status, answer.error["param"]) == (400, next(iter(query)))


async def test_another_source_is_empty_until_something_is_imported(gateway: RunningGateway) -> None:
    answer = await get(gateway, "/ranking/models", {"source": "openrouter", "period": "month"})
    assert (answer.status, answer.json["source"], answer.json["period"]) == (200, "openrouter", "month")
    assert (answer.json["data"], answer.json["has_more"], answer.json["updated_at"]) == ([], False, None)
