"""Which offers may serve a request, and how much is held for it."""

import uuid
from typing import Any

import psycopg
import pytest

from tests.sql.books import MODEL, NANO_PER_TOKEN, PROVIDER, Books
from tests.sql.customers import Customer, make_customer, make_model

ONE = {"input_tokens": NANO_PER_TOKEN, "output_tokens": NANO_PER_TOKEN}
TWO = {"input_tokens": 2 * NANO_PER_TOKEN, "output_tokens": 2 * NANO_PER_TOKEN}
FREE = {"input_tokens": 0, "output_tokens": 0}


def _refused(customer: Customer, model: str, **request: Any) -> tuple[int, str, Any]:
    before = customer.counted(), customer.balance()
    answer = customer.admit(models=[model], **{"tokens": 10, **request})
    assert answer["verdict"] == "refused", answer
    assert (customer.counted(), customer.balance()) == before
    return answer["status"], answer["code"], answer["numbers"]


def _admission(customer: Customer, *models: str, **request: Any) -> Any:
    answer = customer.admit(models=list(models), **{"tokens": 10, **request})
    assert answer["verdict"] == "admitted", answer
    return answer


def test_an_unknown_or_disabled_model_is_not_found(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/disabled", {PROVIDER: ONE}, is_enabled=False)
    assert _refused(customer, "offers/none") == (404, "model_not_found", {"model": "offers/none"})
    assert _refused(customer, "offers/disabled") == (404, "model_not_found", {"model": "offers/disabled"})


def test_a_model_without_a_price_is_not_served(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/unpriced", {})
    books.rows(
        "insert into gateway.provider_offers (model_id, provider, upstream_model) values ('offers/unpriced', %s, 'x')",
        PROVIDER,
    )
    assert _refused(customer, "offers/unpriced") == (404, "no_provider_available", {"model": "offers/unpriced"})


def test_a_disabled_offer_does_not_serve(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/paused", {PROVIDER: ONE})
    books.rows("update gateway.provider_offers set is_enabled = false where model_id = 'offers/paused'")
    assert _refused(customer, "offers/paused")[1] == "no_provider_available"


def test_a_request_is_served_by_the_providers_it_names(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/named", {"chutes": ONE, "openrouter": TWO})
    offers = _admission(customer, "offers/named", providers=["openrouter", "portkey"])["offers"]
    assert [offer["provider"] for offer in offers] == ["openrouter"]
    assert _refused(customer, "offers/named", providers=["portkey"])[1] == "no_provider_available"
    assert _refused(customer, "offers/named", providers=[])[1] == "no_provider_available"


def test_images_for_a_model_that_takes_none_are_refused(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    refusal = (400, "images_not_supported", {"model": MODEL})
    assert _refused(customer, MODEL, images=1) == refusal


def test_each_image_is_held_at_its_models_rule(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/seeing", {PROVIDER: ONE}, image_input_tokens=100)
    answer = _admission(customer, "offers/seeing", images=3)
    assert answer["hold"]["amount_nanos"] == 310
    assert answer["offers"][0]["input_tokens"] == 310


def test_the_hold_covers_the_dearest_offer_of_the_dearest_fallback(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/cheap", {"openrouter": ONE, "chutes": TWO})
    make_model(books, "offers/dear", {"openrouter": {"input_tokens": 9_500_000, "output_tokens": 0}})
    answer = _admission(customer, "offers/cheap", "offers/dear")
    assert answer["hold"]["amount_nanos"] == 95
    order = [(offer["model_id"], offer["provider"], offer["quote_nanos"]) for offer in answer["offers"]]
    assert order == [
        ("offers/cheap", "openrouter", 10),
        ("offers/cheap", "chutes", 20),
        ("offers/dear", "openrouter", 95),
    ]


def test_a_balance_that_pays_only_for_the_cheapest_offer_is_refused_with_both_numbers(books: Books) -> None:
    customer = make_customer(books, credit=19)
    make_model(books, "offers/two", {"openrouter": ONE, "chutes": TWO})
    numbers = {"available_nanos": 19, "required_nanos": 20}
    assert _refused(customer, "offers/two") == (402, "insufficient_credits", numbers)
    _admission(customer, "offers/two", providers=["openrouter"])


def test_the_hold_covers_a_prompt_that_is_written_to_the_providers_cache(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    rates = {**ONE, "cached_input_tokens": NANO_PER_TOKEN // 10, "cache_write_tokens": 5 * NANO_PER_TOKEN // 4}
    (price_id,) = make_model(books, "offers/caching", {PROVIDER: rates}).values()
    hold_id = customer.admitted(models=["offers/caching"], tokens=100, output_tokens=10)
    held = customer.balance()["held_nanos"]
    used = {"cache_write_tokens": 100, "output_tokens": 10}
    settled = customer.settle(hold_id, 0, price_id=price_id, quantities=used)
    assert settled["cost_nanos"] == 135 == held


def test_every_choice_is_held_for_and_no_more_than_the_model_can_say(books: Books) -> None:
    customer = make_customer(books, credit=10_000)
    make_model(books, "offers/brief", {PROVIDER: ONE, "chutes": ONE}, max_output_tokens=100)
    books.rows(
        "update gateway.provider_offers set max_output_tokens = 40"
        " where model_id = 'offers/brief' and provider = 'chutes'"
    )
    answer = _admission(customer, "offers/brief", choices=3, output_tokens=1_000_000)
    outputs = {offer["provider"]: offer["output_tokens"] for offer in answer["offers"]}
    assert outputs == {PROVIDER: 100, "chutes": 40}
    assert answer["hold"]["amount_nanos"] == 10 + 3 * 100
    assert _admission(customer, "offers/brief", output_tokens=7)["hold"]["amount_nanos"] == 17


def test_a_model_that_reasons_is_held_for_its_own_bound(books: Books) -> None:
    customer = make_customer(books, credit=10_000)
    make_model(books, "offers/thinking", {PROVIDER: ONE}, supported_parameters=["reasoning"])
    answer = _admission(customer, "offers/thinking", output_tokens=5, reasoning_output_tokens=100)
    assert (answer["offers"][0]["is_reasoning"], answer["offers"][0]["output_tokens"]) == (True, 100)
    assert answer["hold"]["amount_nanos"] == 110


def test_a_request_for_the_cheapest_offer_alone_holds_only_for_that_one_of_each_model(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/first", {"openrouter": TWO, "chutes": ONE})
    make_model(books, "offers/second", {"openrouter": ONE, "chutes": TWO})
    answer = _admission(customer, "offers/first", "offers/second", is_cheapest_only=True)
    order = [(offer["model_id"], offer["provider"]) for offer in answer["offers"]]
    assert order == [("offers/first", "chutes"), ("offers/second", "openrouter")]
    assert answer["hold"]["amount_nanos"] == 10


def test_an_image_that_has_a_price_of_its_own_is_held_at_it(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    make_model(books, "offers/per-image", {PROVIDER: {**ONE, "images": 7 * NANO_PER_TOKEN}}, image_input_tokens=100)
    assert _admission(customer, "offers/per-image", images=2)["hold"]["amount_nanos"] == 10 + 200 + 14


def test_a_free_model_works_at_balance_zero(books: Books) -> None:
    customer = make_customer(books)
    (price_id,) = make_model(books, "offers/free", {PROVIDER: FREE}).values()
    hold_id = customer.admitted(models=["offers/free"], tokens=100, output_tokens=100)
    settled = customer.settle(hold_id, 0, price_id=price_id, quantities={"input_tokens": 90, "output_tokens": 90})
    assert (settled["cost_nanos"], settled["shortfall_nanos"]) == (0, 0)
    assert books.broken_rules(customer.account_id) == []


def test_a_test_key_reaches_only_the_simulated_provider_and_pays_nothing(books: Books) -> None:
    customer = make_customer(books, environment="test")
    make_model(books, "offers/live", {PROVIDER: TWO})
    answer = _admission(customer, "offers/live", providers=[PROVIDER], output_tokens=100)
    assert [(offer["model_id"], offer["provider"]) for offer in answer["offers"]] == [("offers/live", "simulated")]
    assert answer["hold"]["amount_nanos"] == 0
    hold_id = customer.admitted(models=["offers/live"], tokens=10)
    settled = customer.settle(hold_id, 0, price_id=answer["offers"][0]["price_id"], quantities={"input_tokens": 10})
    assert settled["cost_nanos"] == 0
    assert _refused(customer, "offers/nowhere")[1] == "model_not_found"


def test_the_same_offer_published_again_makes_no_new_price(books: Books) -> None:
    first = make_model(books, "offers/steady", {PROVIDER: ONE})
    again = {"model_id": "offers/steady", "provider": PROVIDER, "upstream_model": "renamed", "cost": ONE}
    assert books.call("publish_offer", **again) == {"price_id": first[PROVIDER]}
    read_upstream = "select upstream_model from gateway.provider_offers where model_id = 'offers/steady'"
    assert books.value(read_upstream) == "renamed"
    assert books.value("select count(*) from gateway.prices where model_id = 'offers/steady'") == 1


@pytest.mark.parametrize(
    "change", [{"cost": TWO}, {"markup_ppm": 1}, {"cost": {**ONE, "cached_input_tokens": 500_000}}]
)
def test_a_changed_cost_or_markup_makes_a_new_price_and_keeps_the_old(books: Books, change: dict[str, Any]) -> None:
    model_id = f"offers/changed-{uuid.uuid4()}"
    first = make_model(books, model_id, {PROVIDER: ONE})
    published = {"model_id": model_id, "provider": PROVIDER, "upstream_model": "x", "cost": ONE, **change}
    second = books.call("publish_offer", **published)["price_id"]
    assert second != first[PROVIDER]
    assert books.call("price", price_id=first[PROVIDER], quantities={"input_tokens": 10})["list_cost_nanos"] == 10
    assert books.call("publish_offer", **published)["price_id"] == second


@pytest.mark.parametrize("factor", [(11, 1), (1, 11), (0, 1)], ids=["eleven times", "an eleventh", "nothing"])
def test_a_cost_that_jumps_waits_until_it_is_confirmed(books: Books, factor: tuple[int, int]) -> None:
    model_id = f"offers/jump-{uuid.uuid4()}"
    ((_, first),) = make_model(books, model_id, {PROVIDER: ONE}).items()
    cost = {**ONE, "output_tokens": NANO_PER_TOKEN * factor[0] // factor[1]}
    jump = {"model_id": model_id, "provider": PROVIDER, "upstream_model": "x", "cost": cost}
    waiting = books.call("publish_offer", **jump)
    assert waiting["price_id"] == first != waiting["pending_price_id"]
    assert books.call("publish_offer", **jump) == waiting
    confirmed = books.call("publish_offer", **jump, is_confirmed=True)
    assert confirmed == {"price_id": waiting["pending_price_id"]}
    read_pending = "select pending_price_id from gateway.provider_offers where model_id = %s"
    assert books.value(read_pending, model_id) is None


def test_a_tenfold_cost_is_no_jump(books: Books) -> None:
    model_id = f"offers/tenfold-{uuid.uuid4()}"
    make_model(books, model_id, {PROVIDER: ONE})
    cost = {name: 10 * rate for name, rate in ONE.items()}
    published = books.call("publish_offer", model_id=model_id, provider=PROVIDER, upstream_model="x", cost=cost)
    assert "pending_price_id" not in published


def test_a_request_admitted_before_a_price_change_is_settled_at_its_own_price(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    model_id = "offers/rising"
    make_model(books, model_id, {PROVIDER: ONE})
    answer = _admission(customer, model_id)
    hold_id = customer.admitted(models=[model_id], tokens=10)
    books.call("publish_offer", model_id=model_id, provider=PROVIDER, upstream_model="x", cost=TWO)
    settled = customer.settle(hold_id, 10, price_id=answer["offers"][0]["price_id"])
    assert settled["charged_nanos"] == 10


@pytest.mark.parametrize(
    "cost",
    [
        {"input_tokens": 1},
        {"output_tokens": 1},
        {},
        {"input_tokens": None, "output_tokens": 1},
        {**ONE, "output_token": 5},
        {**ONE, "requests": -1},
        {**ONE, "images": 10**19},
    ],
)
def test_an_offer_with_a_cost_that_is_missing_misspelt_or_out_of_bounds_is_not_published(
    books: Books, cost: dict[str, Any]
) -> None:
    with pytest.raises((psycopg.DataError, psycopg.IntegrityError)):
        books.call("publish_offer", model_id=MODEL, provider="chutes", upstream_model="x", cost=cost)
    assert (
        books.rows("select model_id from gateway.provider_offers where model_id = %s and provider = 'chutes'", MODEL)
        == []
    )


@pytest.mark.parametrize("markup_ppm", [-1, 100_000_001, None])
def test_a_markup_below_nothing_or_absurd_is_refused(books: Books, markup_ppm: int | None) -> None:
    offer = {"model_id": MODEL, "provider": "chutes", "upstream_model": "x", "cost": ONE}
    with pytest.raises(psycopg.errors.IntegrityError):
        books.call("publish_offer", **offer, markup_ppm=markup_ppm)


@pytest.mark.parametrize("table", ["prices", "transfers"])
@pytest.mark.parametrize(
    "statement", ["update gateway.{} set created_at = now()", "delete from gateway.{}", "truncate gateway.{} cascade"]
)
def test_prices_and_transfers_are_append_only(books: Books, table: str, statement: str) -> None:
    make_customer(books, credit=1)
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        books.rows(statement.format(table))
