"""What a key carries is held to over HTTP: where from, for which models, how often, for how much."""

import pytest

from tests.functions.chat.client import HELLO
from tests.functions.keys.client import Holder, outcome, owner_of
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants, TestModel


@pytest.fixture(scope="module")
def model(make_model: Models) -> TestModel:
    return make_model()


@pytest.fixture(scope="module")
def behind_a_proxy(stack: object, tenant: Tenants) -> object:
    """An owner at a gateway that believes the one proxy before it."""
    gateways = Gateways(stack)  # type: ignore[arg-type]
    try:
        yield owner_of(gateways(CLIENT_ADDRESS_SOURCE="proxy", TRUSTED_PROXY_COUNT="1"), tenant())
    finally:
        gateways.stop_all()


@pytest.mark.parametrize(
    ("allowed", "address", "is_allowed"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("192.0.2.0/24", "::ffff:192.0.3.9", False),
        ("::ffff:192.0.2.0/120", "192.0.2.9", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("2001:db8::1", "2001:0DB8:0:0::1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "192.0.2.1", False),
        ("192.0.2.7", "192.0.2.7, 203.0.113.1", False),
        ("192.0.2.7", "not an address", False),
    ],
)
async def test_a_key_is_used_from_its_addresses_alone(
    behind_a_proxy: Holder, model: TestModel, allowed: str, address: str, is_allowed: bool
) -> None:
    key = await behind_a_proxy.make(name=f"{allowed} {address}", ip_allowlist=[allowed])
    headers = {"X-Forwarded-For": address}
    expected = 200 if is_allowed else "address_not_allowed"
    assert outcome(await key.complete(model, headers=headers)) == expected
    assert outcome(await key.call("GET", "/v1/key", headers=headers)) == expected


async def test_a_header_that_anyone_can_write_is_no_address(owner: Holder, model: TestModel) -> None:
    key = await owner.make(ip_allowlist=["192.0.2.7"])
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "x-vercel-forwarded-for", "CF-Connecting-IP"):
        assert outcome(await key.complete(model, headers={header: "192.0.2.7"})) == "address_not_allowed"
    own = await owner.make(name="own", ip_allowlist=["127.0.0.1"])
    assert (await own.complete(model, headers={"X-Forwarded-For": "192.0.2.7"})).status == 200


@pytest.mark.parametrize(
    ("allowed", "headers", "is_allowed"),
    [
        ("example.com", {"Origin": "https://example.com"}, True),
        ("example.com", {"Origin": "http://EXAMPLE.com:8080"}, True),
        ("example.com", {"Origin": "https://app.example.com"}, False),
        ("example.com", {"Origin": "https://example.com.evil.test"}, False),
        ("example.com", {"Origin": "https://evil-example.com"}, False),
        ("example.com", {"Origin": "https://evil.test/example.com"}, False),
        ("example.com", {"Origin": "https://example.com@evil.test"}, False),
        ("*.example.com", {"Origin": "https://a.b.example.com"}, True),
        ("*.example.com", {"Origin": "https://example.com"}, False),
        ("*.example.com", {"Origin": "https://evilexample.com"}, False),
        ("*.example.com", {"Origin": "https://evil-example.com"}, False),
        ("example.com", {"Referer": "https://example.com/page?x=1"}, True),
        ("example.com", {"Referer": "https://evil.test/?https://example.com"}, False),
        ("example.com", {"Origin": "https://evil.test", "Referer": "https://example.com/"}, False),
        ("example.com", {"Origin": "https://example.com", "Referer": "https://evil.test/"}, True),
        ("example.com", {"Origin": "null"}, False),
        ("example.com", {"Origin": "null", "Referer": "https://example.com/"}, False),
        ("example.com", {"Host": "example.com"}, False),
        ("example.com", {}, False),
    ],
)
async def test_a_key_is_used_from_its_domains_alone(
    owner: Holder, model: TestModel, allowed: str, headers: dict[str, str], is_allowed: bool
) -> None:
    key = await owner.make(allowed_domains=["other.test", allowed])
    expected = 200 if is_allowed else "domain_not_allowed"
    assert outcome(await key.complete(model, headers=headers)) == expected
    assert outcome(await key.call("GET", "/v1/key", headers=headers)) == expected


async def test_a_key_asks_only_the_models_that_it_names(owner: Holder, make_model: Models) -> None:
    mine, other = make_model(), make_model()
    key = await owner.make(models=[mine.id, "openai/*"])
    assert (await key.complete(mine)).status == 200
    assert outcome(await key.complete(other)) == "model_not_allowed"
    body = {"model": mine.id, "models": [other.id], "messages": HELLO}
    assert outcome(await key.call("POST", "/v1/chat/completions", body)) == "model_not_allowed"
    prefix = await owner.make(name="prefix", models=[other.id[:-1] + "*"])
    assert [outcome(await prefix.complete(each)) for each in (other, mine)] == [200, "model_not_allowed"]


async def test_a_key_that_has_made_its_requests_may_still_look(owner: Holder, model: TestModel) -> None:
    key = await owner.make(max_requests=2)
    seen = [outcome(await key.complete(model)) for _ in range(3)]
    assert seen == [200, 200, "key_requests_exhausted"]
    own = (await key.call("GET", "/v1/key")).json
    assert (own["requests_used"], own["requests_remaining"]) == (2, 0)
    await owner.change(key, max_requests=3)
    assert (await key.complete(model)).status == 200


async def test_a_key_spends_no_more_than_its_limit(owner: Holder, make_model: Models) -> None:
    model = make_model("tokens=10", output_usd_per_mtok=1000)
    key = await owner.make(spend_limit={"amount": "5", "period": "day"})
    charged = (await key.complete(model)).json["usage"]["cost"]
    own = (await key.call("GET", "/v1/key")).json["spend_limit"]
    assert float(own["spent"]) == charged > 0
    assert float(own["remaining"]) == 5 - charged
    await owner.change(key, spend_limit={"amount": own["spent"], "period": "day"})
    assert outcome(await key.complete(model)) == "key_spend_limit_reached"
    await owner.change(key, spend_limit=None)
    assert (await key.complete(model)).status == 200


async def test_a_test_key_reaches_the_simulator_alone_and_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model()
    owner = owner_of(gateway, customer)
    before = customer.balance()
    for environment, prefix in (("test", "gw_test_"), ("staging", "gw_staging_"), ("development", "gw_dev_")):
        key = await owner.make(name=environment, environment=environment)
        assert key.secret.startswith(prefix)
        answer = await key.complete(model)
        is_test = environment == "test"
        assert (answer.status, answer.headers["X-Provider"] == "simulated") == (200, is_test)
        assert (answer.json["usage"]["cost"] == 0) is is_test
        if is_test:
            assert simulator.requests(model.upstream_model) == []
            assert customer.balance() == before
    assert len(simulator.requests(model.upstream_model)) == 2


@pytest.mark.parametrize("environment", ["test", "development"])
async def test_a_key_that_spends_nothing_of_the_account_does_not_end_it(owner: Holder, environment: str) -> None:
    key = await owner.make(environment=environment, scopes=["account:write"])
    answer = await key.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})
    assert (outcome(answer), answer.error["param"]) == ("key_exceeds_yours", "environment")
    assert (await owner.call("GET", "/user/profile")).json["status"] == "active"
