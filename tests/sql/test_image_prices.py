"""What images cost by size and quality, and which model is asked for what."""

import threading
import uuid
from typing import Any

import psycopg
import pytest

from tests.sql.books import MODEL, PROVIDER, Books
from tests.sql.customers import Customer, bounds_of, make_customer, make_model, settlement

MADE: dict[str, Any] = {"max_output_tokens": 0, "output_modalities": ["image"]}
# Nano-dollars an image, by size and quality; the first is the default.
PRICES = {("1024x1024", "medium"): 42, ("1024x1024", "high"): 167, ("1536x1024", "medium"): 63}
READ_VARIANT = (
    "select price_id, pending_price_id, is_default from gateway.image_prices where model_id = %s and size = %s"
)


def _publish(books: Books, model_id: str, size: str, quality: str, cost: int, **other: Any) -> Any:
    arguments = {"provider": PROVIDER, "upstream_model": "up", "cost_nanos_per_image": cost, **other}
    return books.call("publish_image_price", model_id=model_id, size=size, quality=quality, **arguments)


def _image_model(books: Books, model_id: str, *, provider: str = PROVIDER, times: int = 1) -> str:
    if not books.rows("select id from gateway.models where id = %s", model_id):
        make_model(books, model_id, {}, **MADE)
    for (size, quality), cost in PRICES.items():
        _publish(books, model_id, size, quality, cost * times, provider=provider)
    return model_id


def _ask(customer: Customer, *models: str, **request: Any) -> Any:
    return customer.admit(models=list(models), output="image", **request)


def _refusal(customer: Customer, *models: str, **request: Any) -> tuple[int, str, Any]:
    before = customer.counted(), customer.balance()
    answer = _ask(customer, *models, **request)
    assert answer["verdict"] == "refused", answer
    assert (customer.counted(), customer.balance()) == before
    return answer["status"], answer["code"], answer["numbers"]


@pytest.fixture(scope="module")
def model(books: Books) -> str:
    return _image_model(books, "images/made")


@pytest.mark.parametrize(
    ("asked", "variant"),
    [
        ({}, ("1024x1024", "medium")),
        ({"image_quality": "high"}, ("1024x1024", "high")),
        ({"image_size": "1536x1024"}, ("1536x1024", "medium")),
        ({"image_size": "1024x1024", "image_quality": "high"}, ("1024x1024", "high")),
    ],
)
def test_what_is_not_named_is_the_defaults_and_the_hold_is_for_what_is_asked_upstream(
    books: Books, model: str, asked: dict[str, str], variant: tuple[str, str]
) -> None:
    customer = make_customer(books, credit=1000)
    answer = _ask(customer, model, **asked)
    (offer,) = answer["offers"]
    assert (offer["image_size"], offer["image_quality"]) == variant
    assert answer["hold"]["amount_nanos"] == offer["quote_nanos"] == PRICES[variant]


def test_each_image_asked_is_held_and_each_that_came_is_charged(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    generation_id = uuid.uuid4()
    answer = _ask(customer, model, generation_id=generation_id, choices=5, tokens=30)
    assert answer["hold"]["amount_nanos"] == 5 * 42
    used = {"images": 3, "requests": 1, "input_tokens": 30}
    settled = customer.settle(generation_id, 0, price_id=answer["offers"][0]["price_id"], quantities=used)
    assert (settled["cost_nanos"], settled["provider_cost_nanos"]) == (3 * 42, 3 * 42)
    assert customer.balance()["available_nanos"] == 1000 - 3 * 42
    assert books.broken_rules(customer.account_id) == []


def test_images_that_the_balance_cannot_pay_are_refused_with_both_numbers(books: Books, model: str) -> None:
    customer = make_customer(books, credit=200)
    numbers = {"available_nanos": 200, "required_nanos": 210}
    assert _refusal(customer, model, choices=5) == (402, "insufficient_credits", numbers)


def test_a_variant_that_nobody_offers_is_refused_with_those_offered(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    for asked in ({"image_size": "7x7"}, {"image_quality": "low"}, {"image_size": ""}, {"image_quality": "MEDIUM"}):
        status, code, numbers = _refusal(customer, model, **asked)
        assert (status, code, numbers["model"]) == (400, "image_variant_not_offered", model)
        assert numbers["offered"] == "1024x1024 high, 1024x1024 medium, 1536x1024 medium"


def test_a_size_that_is_not_offered_in_the_defaults_quality_is_not_guessed(books: Books) -> None:
    _image_model(books, "images/guess")
    _publish(books, "images/guess", "512x512", "low", 1)
    customer = make_customer(books, credit=1000)
    assert _ask(customer, "images/guess", image_size="512x512", image_quality="low")["verdict"] == "admitted"
    # It is offered, and yet not in the default's quality: nobody is there to serve it.
    assert _refusal(customer, "images/guess", image_size="512x512")[1] == "no_provider_available"


def test_a_model_without_sizes_or_qualities_is_asked_for_none(books: Books) -> None:
    make_model(books, "images/plain", {}, **MADE)
    _publish(books, "images/plain", "", "", 9)
    customer = make_customer(books, credit=1000)
    (offer,) = _ask(customer, "images/plain")["offers"]
    assert (offer["image_size"], offer["image_quality"], offer["quote_nanos"]) == (None, None, 9)
    refused = _refusal(customer, "images/plain", image_quality="high")
    assert refused[2]["offered"] == "the model's own"


def test_the_hold_covers_the_dearest_provider_and_fallback_of_the_variant(books: Books) -> None:
    _image_model(books, "images/two")
    _image_model(books, "images/two", provider="portkey", times=2)
    _image_model(books, "images/dear", times=3)
    customer = make_customer(books, credit=1000)
    answer = _ask(customer, "images/two", "images/dear", image_quality="high")
    assert [(each["model_id"], each["provider"], each["quote_nanos"]) for each in answer["offers"]] == [
        ("images/two", PROVIDER, 167),
        ("images/two", "portkey", 334),
        ("images/dear", PROVIDER, 501),
    ]
    assert answer["hold"]["amount_nanos"] == 501
    only = _ask(customer, "images/two", providers=["portkey"])["offers"]
    assert [each["provider"] for each in only] == ["portkey"]
    assert _refusal(customer, "images/two", providers=["chutes"])[:2] == (404, "no_provider_available")


def test_a_disabled_offers_variants_do_not_serve(books: Books) -> None:
    _image_model(books, "images/paused")
    books.rows("update gateway.provider_offers set is_enabled = false where model_id = 'images/paused'")
    customer = make_customer(books, credit=1000)
    assert _refusal(customer, "images/paused")[:2] == (404, "no_provider_available")
    assert _refusal(customer, "images/paused", image_size="1x1")[:2] == (404, "no_provider_available")


@pytest.mark.parametrize("output", ["text", "embeddings", "image"])
def test_a_model_is_asked_for_what_it_makes_and_for_nothing_else(books: Books, output: str) -> None:
    customer, model_id = make_customer(books, credit=1000), f"makes/{output}"
    rates = {} if output == "image" else {PROVIDER: {"input_tokens": 1_000_000, "output_tokens": 0}}
    make_model(books, model_id, rates, max_output_tokens=0, output_modalities=[output])
    if output == "image":
        _publish(books, model_id, "", "", 1)
    for asked in ("text", "embeddings", "image"):
        answer = customer.admit(models=[model_id], tokens=1, output=asked)
        if asked == output:
            assert answer["verdict"] == "admitted", answer
            continue
        numbers = {"model": model_id, "output": asked, "outputs": output}
        assert (answer["status"], answer["code"]) == (400, "model_not_for_this")
        assert answer["numbers"] == numbers


def test_a_model_that_writes_and_makes_images_is_priced_by_the_token_in_a_chat_and_by_the_image_elsewhere(
    books: Books,
) -> None:
    rates = {PROVIDER: {"input_tokens": 1_000_000, "output_tokens": 1_000_000}}
    make_model(books, "images/both", rates, output_modalities=["text", "image"])
    customer = make_customer(books, credit=1000)
    assert _refusal(customer, "images/both")[:2] == (404, "no_provider_available")
    _publish(books, "images/both", "", "", 77)
    assert customer.admit(models=["images/both"], tokens=10)["hold"]["amount_nanos"] == 10
    assert _ask(customer, "images/both", tokens=10)["hold"]["amount_nanos"] == 77


def test_a_fallback_that_makes_what_is_asked_serves_where_the_first_does_not(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    answer = _ask(customer, MODEL, model)
    assert [each["model_id"] for each in answer["offers"]] == [model]


def test_a_test_key_is_answered_inside_in_whatever_size_and_for_nothing(books: Books, model: str) -> None:
    customer = make_customer(books, environment="test")
    answer = _ask(customer, model, choices=3, image_size="2x2", image_quality="odd")
    (offer,) = answer["offers"]
    assert (offer["provider"], offer["image_size"], offer["image_quality"]) == ("simulated", "2x2", "odd")
    assert answer["hold"]["amount_nanos"] == 0
    assert _refusal(customer, MODEL)[1] == "model_not_for_this"


def test_a_request_that_names_no_output_asks_for_text(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    older = {name: value for name, value in bounds_of(7).items() if name not in ("output", "image_size")}
    arguments = {"caller": customer.caller(), "providers": None, "lifetime_s": 60, "request": older}
    answer = books.call("admit", generation_id=uuid.uuid4(), models=[MODEL], **arguments)
    assert answer["hold"]["amount_nanos"] == 7
    refused = books.call("admit", generation_id=uuid.uuid4(), models=[model], **arguments)
    assert refused["code"] == "model_not_for_this"


@pytest.mark.parametrize("wrong", [{"output": "video"}, {"choices": 0}, {"choices": None}, {"input_tokens": None}])
def test_a_bound_that_is_missing_or_unknown_is_an_error_and_never_zero(
    books: Books, model: str, wrong: dict[str, Any]
) -> None:
    customer = make_customer(books, credit=1000)
    before = customer.counted()
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        customer.admit(models=[model], **{"output": "image", **wrong})
    assert customer.counted() == before


def test_the_same_price_again_changes_nothing_and_another_is_a_new_version(books: Books) -> None:
    make_model(books, "images/steady", {}, **MADE)
    first = _publish(books, "images/steady", "1x1", "", 100)
    assert _publish(books, "images/steady", "1x1", "", 100) == first
    second = _publish(books, "images/steady", "1x1", "", 100, markup_ppm=50_000)
    assert second["price_id"] > first["price_id"]
    cost = {"list_cost_nanos": 105, "provider_cost_nanos": 100}
    assert books.call("price", price_id=second["price_id"], quantities={"images": 1}) == cost


def test_a_part_of_a_nano_dollar_of_markup_is_rounded_up_once_for_all_images(books: Books) -> None:
    make_model(books, "images/cheap", {}, **MADE)
    price = _publish(books, "images/cheap", "", "", 1, markup_ppm=500_000)
    assert books.call("price", **price, quantities={"images": 3})["list_cost_nanos"] == 5


def test_a_price_that_jumps_waits_until_it_is_confirmed(books: Books) -> None:
    model_id = "images/jumps"
    make_model(books, model_id, {}, **MADE)
    first = _publish(books, model_id, "1x1", "", 100)["price_id"]
    waiting = _publish(books, model_id, "1x1", "", 1001)
    assert waiting["price_id"] == first
    assert _publish(books, model_id, "1x1", "", 1001) == waiting
    assert books.rows(READ_VARIANT, model_id, "1x1") == [(first, waiting["pending_price_id"], True)]
    customer = make_customer(books, credit=10_000)
    assert _ask(customer, model_id)["hold"]["amount_nanos"] == 100
    confirmed = _publish(books, model_id, "1x1", "", 1001, is_confirmed=True)
    assert confirmed == {"price_id": waiting["pending_price_id"]}
    assert books.rows(READ_VARIANT, model_id, "1x1") == [(confirmed["price_id"], None, True)]
    assert _ask(customer, model_id)["hold"]["amount_nanos"] == 1001
    # Down as much as up, and to nothing.
    assert "pending_price_id" in _publish(books, model_id, "1x1", "", 0)


def test_one_variant_is_the_default_whatever_is_published(books: Books) -> None:
    model_id = "images/default"
    make_model(books, model_id, {}, **MADE)
    for size, is_default in (("1x1", False), ("2x2", False), ("3x3", True), ("3x3", False), ("1x1", False)):
        _publish(books, model_id, size, "", 10, is_default=is_default)
    read = "select size from gateway.image_prices where model_id = %s and is_default"
    assert books.rows(read, model_id) == [("3x3",)]


def test_variants_published_at_once_leave_one_default(books: Books) -> None:
    model_id = "images/race"
    make_model(books, model_id, {}, **MADE)
    _publish(books, model_id, "0x0", "", 10)
    all_there, failed = threading.Barrier(8), []

    def publish(number: int) -> None:
        with psycopg.connect(books.url, autocommit=True) as session:
            all_there.wait(10)
            try:
                for height in range(20):
                    session.execute(
                        "select api.publish_image_price(%s, %s, 'up', %s, '', 10, p_is_default => true)",
                        (model_id, PROVIDER, f"{number}x{height}"),
                    )
            except psycopg.Error as error:
                failed.append(error)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    counts = "select count(*), count(*) filter (where is_default) from gateway.image_prices where model_id = %s"
    assert books.rows(counts, model_id) == [(160, 1)]


@pytest.mark.parametrize(
    "wrong",
    [{"cost": -1}, {"cost": None}, {"cost": 10**13}, {"size": "1 x 1"}, {"size": "X" * 30}, {"quality": None}],
)
def test_a_price_that_cannot_be_is_refused_and_leaves_nothing(books: Books, wrong: dict[str, Any]) -> None:
    model_id = "images/wrong"
    if not books.rows("select id from gateway.models where id = %s", model_id):
        make_model(books, model_id, {}, **MADE)
    with pytest.raises(psycopg.Error):
        _publish(books, model_id, **{"size": "1x1", "quality": "", "cost": 1, **wrong})
    assert books.rows("select from gateway.provider_offers where model_id = %s", model_id) == []


def test_an_image_models_offer_does_not_serve_a_chat(books: Books) -> None:
    make_model(books, "images/unpriced", {}, output_modalities=["text", "image"])
    _publish(books, "images/unpriced", "", "", 1)
    customer = make_customer(books, credit=1000)
    answer = customer.admit(models=["images/unpriced"], tokens=1)
    assert (answer["status"], answer["code"]) == (404, "no_provider_available")


def test_the_list_of_models_shows_images_and_their_rates(books: Books) -> None:
    model_id = _image_model(books, "images/listed")
    (listed,) = [each for each in books.call("list_models") if each["id"] == model_id]
    (offer,) = listed["offers"]
    assert (offer["provider"], offer["rates"]) == (PROVIDER, None)
    assert [(each["size"], each["quality"], each["rate"], each["is_default"]) for each in offer["images"]] == [
        ("1024x1024", "medium", 42_000_000, True),
        ("1536x1024", "medium", 63_000_000, False),
        ("1024x1024", "high", 167_000_000, False),
    ]


def test_a_line_of_images_agrees_with_its_price(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    generation_id = uuid.uuid4()
    price_id = _ask(customer, model, generation_id=generation_id)["offers"][0]["price_id"]
    wrong = settlement(books, 0, price_id=price_id, quantities={"images": 1})
    assert books.call("settle", generation_id=generation_id, **wrong)["cost_nanos"] == 42
    line = "select model_id, provider, price_id, (quantities).images from gateway.usage_lines where generation_id = %s"
    assert books.rows(line, generation_id) == [(model, PROVIDER, price_id, 1)]
