"""What admins set of models, offers, providers and coupons, and what the next request is charged by it."""

import json
import secrets
from decimal import Decimal

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.admin.people import Office
from tests.functions.billing.people import Crowd
from tests.functions.chat.client import ask
from tests.functions.keys.client import outcome, run_sql
from tests.harness.simulator import Simulator
from tests.harness.tenants import TestModel

SCRIPT = "tokens=8,prompt_tokens=10"
MAKE_MODEL = "insert into gateway.models (id, name, context_length, max_output_tokens) values (%s, 'Long', 1000, 100)"
MAKE_LONG = """
    with long as (
        insert into gateway.prices (model_id, provider, cost, price, markup_ppm)
        select model_id, provider, row(3000000000, 0, 0, 0, 0, 0)::gateway.rates,
               row(4500000000, 0, 0, 0, 0, 0)::gateway.rates, 0
          from gateway.provider_offers where model_id = %s
        returning id, model_id
    ),
    tiered as (
        insert into gateway.prices (model_id, provider, cost, price, markup_ppm, long_from_tokens, long_price_id)
        select price.model_id, price.provider, price.cost, price.price, price.markup_ppm, 200, long.id
          from long join gateway.provider_offers as offer on offer.model_id = long.model_id
          join gateway.prices as price on price.id = offer.price_id
        returning id, model_id
    )
    update gateway.provider_offers as offer set price_id = tiered.id from tiered where offer.model_id = tiered.model_id
"""
MAKE_SELLER = "insert into gateway.providers (slug, waiting) values (%s, %s::jsonb)"


async def _charge(office: Office, model: TestModel) -> int:
    customer = office.tenant()
    assert (await ask(office.gateway, customer, model)).status == 200
    (line,) = customer.books.usage_lines()
    return line.charged_nanos


async def test_a_price_that_is_set_is_charged_from_the_next_request_until_it_is_taken_away(office: Office) -> None:
    model = office.make_model(SCRIPT, markup_ppm=0)
    path, price = f"/admin/models/{model.id}", {"input": "5", "output": "7.5", "request": "0.01"}
    assert await _charge(office, model) == 10 * 1_000 + 8 * 2_000
    told = await office.done("PATCH", path, {"offer": {"provider": "openrouter", "price": price}})
    (offer,) = told["offers"]
    shown = offer["price"]["price"]
    assert (shown["input"], shown["output"], shown["request"]) == ("5", "7.5", "0.01")
    assert (offer["is_price_overridden"], offer["price"]["cost"]["input"]) == (True, "1")
    assert await _charge(office, model) == 10 * 5_000 + 8 * 7_500 + 10_000_000
    await office.done("PATCH", path, {"offer": {"provider": "openrouter", "price": None, "markup_percent": "12.5"}})
    assert await _charge(office, model) == (10 * 1_000 + 8 * 2_000) * 9 // 8


async def test_what_a_long_prompt_costs_is_shown_beside_what_others_do(office: Office) -> None:
    model = office.make_model(markup_ppm=0)
    path, body = f"/admin/models/{model.id}", {"offer": {"provider": "openrouter", "is_enabled": True}}
    (offer,) = (await office.done("PATCH", path, body))["offers"]
    assert offer["price"]["long_context"] is None
    run_sql(office.database_url, MAKE_LONG, model.id)
    (offer,) = (await office.done("PATCH", path, body))["offers"]
    shown = offer["price"]["long_context"]
    assert (shown["from_tokens"], shown["cost"]["input"], shown["price"]["input"]) == (200, "3", "4.5")


async def test_a_markup_of_a_provider_holds_for_its_offers_and_not_for_those_with_their_own(office: Office) -> None:
    slug = f"p-{secrets.token_hex(4)}"
    follows, own = office.make_model(providers=(slug,)), office.make_model(providers=(slug,))
    await office.done("PATCH", f"/admin/models/{own.id}", {"offer": {"provider": slug, "markup_percent": "1"}})
    told = await office.done("PATCH", f"/admin/providers/{slug}", {"markup_percent": "25"})
    assert (told["slug"], told["markup_percent"], told["offers"]) == (slug, "25", 2)
    prices = {}
    for model in (follows, own):
        (found,) = (await office.done("GET", f"/admin/models?q={model.id}"))["data"]
        prices[model.id] = found["offers"][0]["price"]["price"]["input"]
    assert prices == {follows.id: "1.25", own.id: "1.01"}
    assert slug in {each["slug"] for each in (await office.done("GET", "/admin/providers"))["data"]}


async def test_a_model_and_an_offer_that_are_switched_off_are_asked_by_nobody(
    office: Office, simulator: Simulator
) -> None:
    model, customer = office.make_model(SCRIPT, providers=("openrouter", "chutes")), office.tenant()
    path = f"/admin/models/{model.id}"
    await office.done("PATCH", path, {"offer": {"provider": "openrouter", "is_enabled": False}})
    for _ in range(4):
        assert (await ask(office.gateway, customer, model)).headers["X-Provider"] == "chutes"
    told = await office.done("PATCH", path, {"is_enabled": False})
    assert told["is_enabled"] is False
    assert outcome(await ask(office.gateway, customer, model)) == "model_not_found"
    assert {each["provider"] for each in simulator.requests(model.upstream_model)} == {"chutes"}
    assert [each["id"] for each in (await office.done("GET", f"/admin/models?q={model.id}&enabled=false"))["data"]] == [
        model.id
    ]
    await office.done("PATCH", path, {"is_enabled": True})
    assert (await ask(office.gateway, customer, model)).status == 200


async def test_a_model_of_two_names_with_a_slash_is_found_by_its_id(office: Office) -> None:
    model = office.make_model()
    told = await office.done("PATCH", f"/admin/models/{model.id.replace('/', '%2F')}", {"description": "Grüße, 世界"})
    assert (told["id"], told["description"], told["is_edited"]) == (model.id, "Grüße, 世界", True)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("models/none/such", {"is_enabled": True}, "model_not_found"),
        ("models/{model}", {"offer": {"provider": "nobody", "is_enabled": True}}, "offer_not_found"),
        ("models/{model}", {"offer": {"provider": "openrouter", "confirm_price_id": 1}}, "price_not_pending"),
        ("models/{model}", {"offer": {"provider": "openrouter"}}, "invalid_request"),
        ("models/{model}", {"offer": None}, "invalid_request"),
        ("models/{model}", {"offer": {"provider": "openrouter", "price": {"input": "1"}}}, "invalid_request"),
        ("models/{model}", {"offer": {"provider": "openrouter", "markup_percent": "-1"}}, "invalid_request"),
        (
            "models/{model}",
            {"offer": {"provider": "openrouter", "confirm_price_id": 1, "markup_percent": "1"}},
            "invalid_request",
        ),
        (
            "models/{model}",
            {"offer": {"provider": "openrouter", "confirm_price_id": 1, "price": None}},
            "invalid_request",
        ),
        ("models/{model}", {"id": "another"}, "invalid_request"),
        ("models/{model}", {}, "invalid_request"),
        ("providers/nobody", {"is_enabled": True}, "provider_not_found"),
        ("providers/NO%20ONE", {"is_enabled": True}, "provider_not_found"),
        ("providers/openrouter", {"markup_percent": "1e2"}, "invalid_request"),
    ],
)
async def test_what_is_not_sold_or_cannot_be_is_not_changed(
    office: Office, path: str, body: dict[str, object], expected: str
) -> None:
    model = office.make_model()
    answer = await office.operator.call("PATCH", f"/admin/{path.format(model=model.id)}", body)
    assert outcome(answer) == expected


async def test_models_are_listed_a_page_at_a_time(office: Office) -> None:
    made = sorted(office.make_model().id for _ in range(3))
    seen: list[str] = []
    after = ""
    for _ in range(1000):
        page = await office.done("GET", f"/admin/models?q=test/&limit=2{after}")
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['next']}"
    assert seen == sorted(set(seen))
    assert set(made) <= set(seen)


async def test_a_page_may_end_with_the_longest_id_that_a_model_has(office: Office) -> None:
    prefix = f"test/{secrets.token_hex(4)}-".ljust(199, "z")
    for last in "ab":
        run_sql(office.database_url, MAKE_MODEL, prefix + last)
    page = await office.done("GET", f"/admin/models?q={prefix}&limit=1")
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([prefix + "a"], True)
    page = await office.done("GET", f"/admin/models?q={prefix}&limit=1&after={page['next']}")
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([prefix + "b"], False)


async def test_a_list_that_waits_is_shown_until_somebody_lets_it(office: Office) -> None:
    slug, waiting = f"p-{secrets.token_hex(4)}", {"listed": 900, "missing": 2, "offered": 300, "added": 602}
    run_sql(office.database_url, MAKE_SELLER, slug, json.dumps(waiting))
    (told,) = [each for each in (await office.done("GET", "/admin/providers"))["data"] if each["slug"] == slug]
    assert told["waiting_list"] == waiting
    await office.done("PATCH", f"/admin/providers/{slug}", {"may_grow": True})
    assert run_sql(office.database_url, "select may_grow, may_shrink from gateway.providers where slug = %s", slug) == [
        (True, False)
    ]


async def test_a_coupon_is_redeemed_as_often_as_it_was_made_for(office: Office) -> None:
    code = await office.make_coupon(amount="2.50", max_redemptions=1)
    crowd = Crowd(office.gateway, office.tenant)
    first, second = crowd(), crowd()
    assert (await first.redeem(code)).status == 200
    assert first.gifts == [("promo", int(Decimal("2.5") * NANOS_PER_DOLLAR))]
    assert outcome(await second.redeem(code.upper())) == "coupon_used_up"
    told = await office.done("PATCH", f"/admin/coupons/{code}", {"max_redemptions": 2})
    assert (told["redemptions"], told["amount"]) == (1, "2.500000000")
    assert (await second.redeem(code)).status == 200
    refused = await office.operator.call("PATCH", f"/admin/coupons/{code.upper()}", {"max_redemptions": 1})
    assert outcome(refused) == "coupon_redeemed_more"
    await office.done("PATCH", f"/admin/coupons/{code}", {"is_active": False})
    assert outcome(await crowd().redeem(code)) == "unknown_coupon"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"amount": "0"}, "invalid_request"),
        ({"amount": "10001"}, "invalid_request"),
        ({"max_redemptions": 0}, "invalid_request"),
        ({"code": "no spaces"}, "invalid_request"),
        ({"live_from": "2030-01-02T00:00:00Z", "expires_at": "2030-01-01T00:00:00+00:00"}, "invalid_request"),
        ({"expires_at": "2030-01-01"}, "invalid_request"),
        ({"redemptions": 0}, "invalid_request"),
    ],
)
async def test_a_coupon_that_cannot_be_is_not_made(office: Office, body: dict[str, object], expected: str) -> None:
    coupon = {"code": f"c-{secrets.token_hex(4)}", "amount": "1.00", "max_redemptions": 1, **body}
    assert outcome(await office.operator.call("POST", "/admin/coupons", coupon)) == expected


async def test_a_coupons_code_is_taken_once_in_upper_and_lower_case(office: Office) -> None:
    code = await office.make_coupon()
    again = {"code": code.upper(), "amount": "1.00", "max_redemptions": 1}
    assert outcome(await office.operator.call("POST", "/admin/coupons", again)) == "coupon_exists"
    assert outcome(await office.operator.call("PATCH", "/admin/coupons/no-such", {"is_active": False})) == (
        "coupon_not_found"
    )
    assert code in [each["code"] for each in (await office.done("GET", "/admin/coupons?limit=100"))["data"]]
