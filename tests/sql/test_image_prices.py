"""Who is asked for images, in which size and quality, and what is held and charged for them."""

import uuid
from typing import Any

import psycopg
import pytest

from tests.sql.books import MODEL, PROVIDER, Books
from tests.sql.customers import bounds_of, make_customer, make_model, settlement
from tests.sql.image_models import MADE, PRICES, ask, image_model, publish, refusal


@pytest.fixture(scope="module")
def model(books: Books) -> str:
    return image_model(books, "images/made")


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
    answer = ask(customer, model, **asked)
    (offer,) = answer["offers"]
    assert (offer["image_size"], offer["image_quality"]) == variant
    assert answer["hold"]["amount_nanos"] == offer["quote_nanos"] == PRICES[variant]


def test_each_image_asked_is_held_and_each_that_came_is_charged(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    generation_id = uuid.uuid4()
    answer = ask(customer, model, generation_id=generation_id, choices=5, tokens=30)
    assert answer["hold"]["amount_nanos"] == 5 * 42
    used = {"images": 3, "requests": 1, "input_tokens": 30}
    settled = customer.settle(generation_id, 0, price_id=answer["offers"][0]["price_id"], quantities=used)
    assert (settled["cost_nanos"], settled["provider_cost_nanos"]) == (3 * 42, 3 * 42)
    assert customer.balance()["available_nanos"] == 1000 - 3 * 42
    assert books.broken_rules(customer.account_id) == []


def test_images_that_the_balance_cannot_pay_are_refused_with_both_numbers(books: Books, model: str) -> None:
    customer = make_customer(books, credit=200)
    numbers = {"available_nanos": 200, "required_nanos": 210}
    assert refusal(customer, model, choices=5) == (402, "insufficient_credits", numbers)


def test_a_variant_that_nobody_offers_is_refused_with_those_offered(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    for asked in ({"image_size": "7x7"}, {"image_quality": "low"}, {"image_size": ""}, {"image_quality": "MEDIUM"}):
        status, code, numbers = refusal(customer, model, **asked)
        assert (status, code, numbers["model"]) == (400, "image_variant_not_offered", model)
        assert numbers["offered"] == "1024x1024 high, 1024x1024 medium, 1536x1024 medium"


def test_a_size_that_is_not_offered_in_the_defaults_quality_is_not_guessed_but_told(books: Books) -> None:
    image_model(books, "images/guess")
    publish(books, "images/guess", "512x512", "low", 1)
    customer = make_customer(books, credit=1000)
    assert ask(customer, "images/guess", image_size="512x512", image_quality="low")["verdict"] == "admitted"
    for asked in (
        {"image_size": "512x512"},
        {"image_quality": "low"},
        {"image_size": "512x512", "image_quality": "high"},
    ):
        status, code, numbers = refusal(customer, "images/guess", **asked)
        assert (status, code) == (400, "image_variant_not_offered")
        assert "512x512 low" in numbers["offered"]


def test_a_model_without_sizes_or_qualities_is_asked_for_none(books: Books) -> None:
    make_model(books, "images/plain", {}, **MADE)
    publish(books, "images/plain", "", "", 9)
    customer = make_customer(books, credit=1000)
    (offer,) = ask(customer, "images/plain")["offers"]
    assert (offer["image_size"], offer["image_quality"], offer["quote_nanos"]) == (None, None, 9)
    refused = refusal(customer, "images/plain", image_quality="high")
    assert refused[2]["offered"] == "the model's own"


def test_the_hold_covers_the_dearest_provider_and_fallback_of_the_variant(books: Books) -> None:
    image_model(books, "images/two")
    image_model(books, "images/two", provider="portkey", times=2)
    image_model(books, "images/dear", times=3)
    customer = make_customer(books, credit=1000)
    answer = ask(customer, "images/two", "images/dear", image_quality="high")
    assert [(each["model_id"], each["provider"], each["quote_nanos"]) for each in answer["offers"]] == [
        ("images/two", PROVIDER, 167),
        ("images/two", "portkey", 334),
        ("images/dear", PROVIDER, 501),
    ]
    assert answer["hold"]["amount_nanos"] == 501
    only = ask(customer, "images/two", providers=["portkey"])["offers"]
    assert [each["provider"] for each in only] == ["portkey"]
    assert refusal(customer, "images/two", providers=["chutes"])[:2] == (404, "no_provider_available")


def test_a_disabled_offers_variants_do_not_serve(books: Books) -> None:
    image_model(books, "images/paused")
    books.rows("update gateway.provider_offers set is_enabled = false where model_id = 'images/paused'")
    customer = make_customer(books, credit=1000)
    assert refusal(customer, "images/paused")[:2] == (404, "no_provider_available")
    assert refusal(customer, "images/paused", image_size="1x1")[:2] == (404, "no_provider_available")


@pytest.mark.parametrize("output", ["text", "embeddings", "image"])
def test_a_model_is_asked_for_what_it_makes_and_for_nothing_else(books: Books, output: str) -> None:
    customer, model_id = make_customer(books, credit=1000), f"makes/{output}"
    rates = {} if output == "image" else {PROVIDER: {"input_tokens": 1_000_000, "output_tokens": 0}}
    make_model(books, model_id, rates, max_output_tokens=0, output_modalities=[output])
    if output == "image":
        publish(books, model_id, "", "", 1)
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
    assert refusal(customer, "images/both")[:2] == (404, "no_provider_available")
    publish(books, "images/both", "", "", 77)
    assert customer.admit(models=["images/both"], tokens=10)["hold"]["amount_nanos"] == 10
    assert ask(customer, "images/both", tokens=10)["hold"]["amount_nanos"] == 77


def test_a_fallback_that_makes_what_is_asked_serves_where_the_first_does_not(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    answer = ask(customer, MODEL, model)
    assert [each["model_id"] for each in answer["offers"]] == [model]


def test_a_test_key_is_answered_inside_in_whatever_size_and_for_nothing(books: Books, model: str) -> None:
    customer = make_customer(books, environment="test")
    answer = ask(customer, model, choices=3, image_size="2x2", image_quality="odd")
    (offer,) = answer["offers"]
    assert (offer["provider"], offer["image_size"], offer["image_quality"]) == ("simulated", "2x2", "odd")
    assert answer["hold"]["amount_nanos"] == 0
    assert refusal(customer, MODEL)[1] == "model_not_for_this"


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


def test_an_image_models_offer_does_not_serve_a_chat(books: Books) -> None:
    make_model(books, "images/unpriced", {}, output_modalities=["text", "image"])
    publish(books, "images/unpriced", "", "", 1)
    customer = make_customer(books, credit=1000)
    answer = customer.admit(models=["images/unpriced"], tokens=1)
    assert (answer["status"], answer["code"]) == (404, "no_provider_available")


def test_a_line_of_images_agrees_with_its_price(books: Books, model: str) -> None:
    customer = make_customer(books, credit=1000)
    generation_id = uuid.uuid4()
    price_id = ask(customer, model, generation_id=generation_id)["offers"][0]["price_id"]
    wrong = settlement(books, 0, price_id=price_id, quantities={"images": 1})
    assert books.call("settle", generation_id=generation_id, **wrong)["cost_nanos"] == 42
    line = "select model_id, provider, price_id, (quantities).images from gateway.usage_lines where generation_id = %s"
    assert books.rows(line, generation_id) == [(model, PROVIDER, price_id, 1)]


def test_who_names_no_size_is_served_the_cheapest_default_and_by_no_provider_in_another(books: Books) -> None:
    make_model(books, "images/defaults", {}, **MADE)
    publish(books, "images/defaults", "1024x1024", "", 10)
    publish(books, "images/defaults", "4096x4096", "", 5_000, provider="portkey")
    customer = make_customer(books, credit=100)
    answer = ask(customer, "images/defaults")
    assert [(offer["provider"], offer["image_size"]) for offer in answer["offers"]] == [(PROVIDER, "1024x1024")]
    assert answer["hold"]["amount_nanos"] == 10
    publish(books, "images/defaults", "1024x1024", "", 20, provider="portkey")
    answer = ask(customer, "images/defaults")
    assert [(offer["provider"], offer["image_size"]) for offer in answer["offers"]] == [
        (PROVIDER, "1024x1024"),
        ("portkey", "1024x1024"),
    ]
    assert answer["hold"]["amount_nanos"] == 20


def test_the_cheapest_default_is_the_model_s_whatever_its_provider_is_called(books: Books) -> None:
    make_model(books, "images/named-last", {}, **MADE)
    publish(books, "images/named-last", "4096x4096", "", 50, provider="chutes")
    publish(books, "images/named-last", "1024x1024", "", 10, provider="portkey")
    (offer,) = ask(make_customer(books, credit=1000), "images/named-last")["offers"]
    assert (offer["provider"], offer["image_size"]) == ("portkey", "1024x1024")


def test_the_default_is_that_of_the_providers_that_may_serve(books: Books) -> None:
    make_model(books, "images/chosen", {}, **MADE)
    publish(books, "images/chosen", "1024x1024", "", 10)
    publish(books, "images/chosen", "4096x4096", "", 50, provider="portkey")
    customer = make_customer(books, credit=1000)
    (offer,) = ask(customer, "images/chosen", providers=["portkey"])["offers"]
    assert (offer["provider"], offer["image_size"], offer["quote_nanos"]) == ("portkey", "4096x4096", 50)
    books.rows(
        "update gateway.provider_offers set is_enabled = false where model_id = %s and provider = %s",
        "images/chosen",
        PROVIDER,
    )
    (offer,) = ask(customer, "images/chosen")["offers"]
    assert (offer["provider"], offer["image_size"]) == ("portkey", "4096x4096")


def test_a_size_that_one_provider_alone_makes_is_completed_by_that_one_s_default(books: Books) -> None:
    make_model(books, "images/part", {}, **MADE)
    publish(books, "images/part", "1024x1024", "standard", 10)
    publish(books, "images/part", "4096x4096", "", 50, provider="portkey")
    (offer,) = ask(make_customer(books, credit=1000), "images/part", image_size="4096x4096")["offers"]
    assert (offer["provider"], offer["image_size"], offer["image_quality"]) == ("portkey", "4096x4096", None)


def test_a_model_has_another_name_upstream_for_images_than_in_a_chat(books: Books) -> None:
    rates = {PROVIDER: {"input_tokens": 1_000_000, "output_tokens": 1_000_000}}
    make_model(books, "images/named", rates, output_modalities=["text", "image"])
    customer = make_customer(books, credit=1000)
    (before,) = customer.admit(models=["images/named"], tokens=1)["offers"]
    publish(books, "images/named", "", "", 1, upstream_model="paints")
    (after,) = customer.admit(models=["images/named"], tokens=1)["offers"]
    assert after["upstream_model"] == before["upstream_model"] != "paints"
    (offer,) = ask(customer, "images/named")["offers"]
    assert offer["upstream_model"] == "paints"
    publish(books, "images/named", "", "", 1, upstream_model="paints-2")
    (offer,) = ask(customer, "images/named")["offers"]
    assert offer["upstream_model"] == "paints-2"
