"""What admins set of models, offers and providers holds from the next admission on, and no list takes it back."""

import itertools
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.sql.admins import OPERATOR, as_admin, events_since, last_event, make_admin
from tests.sql.books import Books
from tests.sql.customers import make_customer, make_model
from tests.sql.key_owners import make_owner, receipt_of, refusal

_numbers = itertools.count(1)

RATES = {"input_tokens": 1_000_000, "output_tokens": 2_000_000}
COUNT_PRICES = "select count(*) from gateway.prices where model_id = %s"


def _model(books: Books, *providers: str) -> str:
    model_id = f"test/catalog-{next(_numbers)}"
    make_model(books, model_id, dict.fromkeys(providers or ("openrouter",), RATES))
    return model_id


def _change(books: Books, model_id: str, **changes: Any) -> Any:
    return books.call("update_model", admin=OPERATOR, model_id=model_id, changes=changes)


def _offer(books: Books, model_id: str, provider: str = "openrouter", **changes: Any) -> Any:
    answer = _change(books, model_id, offer={"provider": provider, **changes})
    if answer["verdict"] == "refused":
        return answer
    (offer,) = [each for each in answer["model"]["offers"] if each["provider"] == provider]
    return offer


def _seller(books: Books, provider: str, **changes: Any) -> Any:
    return books.call("update_seller", admin=OPERATOR, provider=provider, changes=changes)


def _asked(books: Books, model_id: str) -> Any:
    return make_customer(books, credit=10_000_000).admit(tokens=100, models=[model_id])


def _price(offer: Any, part: str = "price") -> tuple[int, int]:
    rates = offer["price"][part]
    return rates["input_tokens"], rates["output_tokens"]


def _pending(books: Books, model_id: str) -> int:
    jumped = {name: rate * 20 for name, rate in RATES.items()}
    return int(
        books.call(
            "publish_offer", model_id=model_id, provider="openrouter", upstream_model="upstream", cost=Jsonb(jumped)
        )["pending_price_id"]
    )


def test_every_model_is_listed_with_every_offer_those_that_nobody_can_ask_too(own_ledger: Books) -> None:
    books, model_id = own_ledger, _model(own_ledger, "openrouter", "chutes")
    _change(books, model_id, is_enabled=False, offer={"provider": "chutes", "is_enabled": False})

    def listed(**filter_: Any) -> list[str]:
        found = books.call("list_catalog", admin=OPERATOR, filter=filter_, limit=100, after=None)["models"]
        return [model["id"] for model in found]

    everything = listed()
    assert model_id in everything and everything == sorted(everything)
    assert listed(search=model_id.upper()) == [model_id]
    assert listed(search="test/catalog", is_enabled=False) == [model_id]
    assert listed(search=model_id, provider="chutes") == [model_id]
    assert listed(search=model_id, provider="portkey") == []
    assert listed(is_pending=True) == []
    _pending(books, model_id)
    assert listed(is_pending=True) == [model_id]
    page = books.call("list_catalog", admin=OPERATOR, filter={}, limit=2, after=everything[0])["models"]
    assert [model["id"] for model in page] == everything[1:3]


@pytest.mark.parametrize("what", ["model", "offer", "provider"])
def test_what_is_disabled_serves_nobody_until_it_is_enabled(books: Books, what: str) -> None:
    model_id = _model(books, "featherless")
    changes = {
        "model": lambda value: _change(books, model_id, is_enabled=value),
        "offer": lambda value: _offer(books, model_id, "featherless", is_enabled=value),
        "provider": lambda value: _seller(books, "featherless", is_enabled=value),
    }
    changes[what](False)
    refused = _asked(books, model_id)
    assert refused["code"] == ("model_not_found" if what == "model" else "no_provider_available")
    changes[what](True)
    assert _asked(books, model_id)["verdict"] == "admitted"


def test_a_markup_makes_a_price_version_and_the_same_again_none(books: Books) -> None:
    model_id, before = _model(books), last_event(books)
    for _ in range(2):
        offer = _offer(books, model_id, markup_ppm=250_000)
        assert (_price(offer), _price(offer, "cost")) == ((1_250_000, 2_500_000), (1_000_000, 2_000_000))
    assert books.value(COUNT_PRICES, model_id) == 2
    assert [event for event, *_ in events_since(books, before)] == ["offer_updated"]
    assert _asked(books, model_id)["offers"][0]["quote_nanos"] == 125


def test_an_offers_own_markup_comes_before_its_providers(books: Books) -> None:
    model_id, other = _model(books, "portkey"), _model(books, "portkey")
    _offer(books, model_id, "portkey", markup_ppm=0)
    _seller(books, "portkey", markup_ppm=500_000)
    try:
        assert _asked(books, model_id)["offers"][0]["quote_nanos"] == 100
        assert _asked(books, other)["offers"][0]["quote_nanos"] == 150
        assert _price(_offer(books, model_id, "portkey", markup_ppm=None)) == (1_500_000, 3_000_000)
    finally:
        _seller(books, "portkey", markup_ppm=50_000)


def test_a_price_that_is_set_holds_whatever_the_markup_until_it_is_lifted(books: Books) -> None:
    model_id = _model(books)
    offer = _offer(books, model_id, price={"input_tokens": 7_000_000, "output_tokens": 9_000_000})
    assert (_price(offer), _price(offer, "cost"), offer["is_price_overridden"]) == (
        (7_000_000, 9_000_000), (1_000_000, 2_000_000), True,
    )  # fmt: skip
    assert _price(_offer(books, model_id, markup_ppm=100_000)) == (7_000_000, 9_000_000)
    assert _asked(books, model_id)["offers"][0]["quote_nanos"] == 700
    assert _price(_offer(books, model_id, price=None)) == (1_100_000, 2_200_000)


def test_a_price_that_is_lifted_is_never_the_bare_cost(books: Books) -> None:
    model_id = _model(books, "eta")
    assert _price(_offer(books, model_id, "eta", price={"input_tokens": 1, "output_tokens": 1})) == (1, 1)
    assert _price(_offer(books, model_id, "eta", price=None)) == (1_050_000, 2_100_000)


def test_a_free_price_is_one_that_is_set_to_nothing(books: Books) -> None:
    model_id = _model(books)
    assert _price(_offer(books, model_id, price={"input_tokens": 0, "output_tokens": 0})) == (0, 0)
    assert make_customer(books).admit(tokens=100, models=[model_id])["verdict"] == "admitted"


def test_a_price_that_jumped_is_confirmed_by_its_id_and_once(books: Books) -> None:
    model_id = _model(books)
    waiting = _pending(books, model_id)
    assert refusal(_offer(books, model_id, confirm_price_id=waiting - 1))[:2] == (409, "price_not_pending")
    offer = _offer(books, model_id, confirm_price_id=waiting)
    assert (_price(offer), offer["price"]["id"], offer["pending_price"]) == ((20_000_000, 40_000_000), waiting, None)
    assert refusal(_offer(books, model_id, confirm_price_id=waiting))[:2] == (409, "price_not_pending")


def test_the_prices_of_images_are_marked_up_and_confirmed_likewise(books: Books) -> None:
    model_id = f"test/images-{next(_numbers)}"
    make_model(books, model_id, {}, max_output_tokens=0, output_modalities=["image"])

    def publish(cost: int) -> Any:
        return books.call(
            "publish_image_price", model_id=model_id, provider="openrouter", upstream_model="up", size="1K",
            quality="", cost_nanos_per_image=cost,
        )  # fmt: skip

    publish(1_000)
    (variant,) = _offer(books, model_id, markup_ppm=100_000)["images"]
    assert variant["price"]["price"]["images"] == 1_100 * 1_000_000
    waiting = publish(100_000)["pending_price_id"]
    before = last_event(books)
    (variant,) = _offer(books, model_id, confirm_price_id=waiting)["images"]
    assert [(event, subject) for event, _, _, subject, _ in events_since(books, before)] == [
        ("offer_updated", model_id)
    ]
    assert (variant["price"]["price"]["images"], variant["pending_price"]) == (100_000 * 1_000_000, None)
    refused = _offer(books, model_id, price={"input_tokens": 1, "output_tokens": 1})
    assert refusal(refused)[:2] == (409, "offer_has_no_price")


def test_a_model_that_is_named_by_us_is_described_by_no_list(books: Books) -> None:
    model_id = _model(books)
    answer = _change(books, model_id, name="Our name")["model"]
    assert (answer["name"], answer["is_edited"]) == ("Our name", True)
    assert _change(books, _model(books), is_enabled=True)["model"]["is_edited"] is False


def test_providers_are_told_with_what_is_offered_of_them(own_ledger: Books) -> None:
    books = own_ledger
    model_id = _model(books, "zeta")
    _model(books, "zeta")
    _offer(books, model_id, "zeta", is_enabled=False)
    told = {each["slug"]: each for each in books.call("list_sellers", admin=OPERATOR)["providers"]}
    assert {"openrouter", "zeta"} <= set(told)
    assert [told["zeta"][name] for name in ("is_enabled", "markup_ppm", "offers", "enabled", "pending_prices")] == [
        True, None, 2, 1, 0,
    ]  # fmt: skip
    assert _seller(books, "zeta", markup_ppm=10_000)["provider"]["markup_ppm"] == 10_000
    assert refusal(_seller(books, "nobody", is_enabled=False)) == (404, "provider_not_found", {"provider": "nobody"})


def test_what_there_is_not_is_not_changed(books: Books) -> None:
    model_id = _model(books)
    assert refusal(_change(books, "no/such", is_enabled=False)) == (404, "model_not_found", {"model": "no/such"})
    numbers = {"model": model_id, "provider": "nobody"}
    assert refusal(_offer(books, model_id, "nobody", is_enabled=False)) == (404, "offer_not_found", numbers)
    for changes in ({"id": "other"}, {"offer": {"provider": "openrouter", "price_id": 1}}):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            _change(books, model_id, **changes)


def test_a_change_is_made_once_and_by_an_admin(books: Books) -> None:
    model_id, admin = _model(books), make_admin(books)
    call = {"model_id": model_id, "changes": {"is_enabled": False}, "receipt": receipt_of("model")}
    books.call("update_model", admin=as_admin(admin), **call)
    _change(books, model_id, is_enabled=True)
    assert books.call("update_model", admin=as_admin(admin), **call)["is_replayed"] is True
    assert _asked(books, model_id)["verdict"] == "admitted"
    owner = as_admin(make_owner(books))
    for function, arguments in (
        ("update_model", {"model_id": model_id, "changes": {"is_enabled": False}}),
        ("update_seller", {"provider": "openrouter", "changes": {"is_enabled": False}}),
        ("list_catalog", {"filter": {}, "limit": 1}),
        ("list_sellers", {}),
    ):
        assert refusal(books.call(function, admin=owner, **arguments)) == (403, "admin_required", {})
    assert _asked(books, model_id)["verdict"] == "admitted"
