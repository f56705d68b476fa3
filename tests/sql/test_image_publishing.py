"""What images cost by size and quality, as it is published."""

import threading
from typing import Any

import psycopg
import pytest

from tests.sql.books import PROVIDER, Books
from tests.sql.customers import make_customer, make_model
from tests.sql.image_models import MADE, ask, image_model, publish

READ_VARIANT = (
    "select price_id, pending_price_id, is_default from gateway.image_prices where model_id = %s and size = %s"
)


def test_the_same_price_again_changes_nothing_and_another_is_a_new_version(books: Books) -> None:
    make_model(books, "images/steady", {}, **MADE)
    first = publish(books, "images/steady", "1x1", "", 100)
    assert publish(books, "images/steady", "1x1", "", 100) == first
    second = publish(books, "images/steady", "1x1", "", 100, markup_ppm=50_000)
    assert second["price_id"] > first["price_id"]
    cost = {"list_cost_nanos": 105, "provider_cost_nanos": 100}
    assert books.call("price", price_id=second["price_id"], quantities={"images": 1}) == cost


def test_a_part_of_a_nano_dollar_of_markup_is_rounded_up_once_for_all_images(books: Books) -> None:
    make_model(books, "images/cheap", {}, **MADE)
    price = publish(books, "images/cheap", "", "", 1, markup_ppm=500_000)
    assert books.call("price", **price, quantities={"images": 3})["list_cost_nanos"] == 5


def test_a_price_that_jumps_waits_until_it_is_confirmed(books: Books) -> None:
    model_id = "images/jumps"
    make_model(books, model_id, {}, **MADE)
    first = publish(books, model_id, "1x1", "", 100)["price_id"]
    waiting = publish(books, model_id, "1x1", "", 1001)
    assert waiting["price_id"] == first
    assert publish(books, model_id, "1x1", "", 1001) == waiting
    assert books.rows(READ_VARIANT, model_id, "1x1") == [(first, waiting["pending_price_id"], True)]
    customer = make_customer(books, credit=10_000)
    assert ask(customer, model_id)["hold"]["amount_nanos"] == 100
    confirmed = publish(books, model_id, "1x1", "", 1001, is_confirmed=True)
    assert confirmed == {"price_id": waiting["pending_price_id"]}
    assert books.rows(READ_VARIANT, model_id, "1x1") == [(confirmed["price_id"], None, True)]
    assert ask(customer, model_id)["hold"]["amount_nanos"] == 1001
    # Down as much as up, and to nothing.
    assert "pending_price_id" in publish(books, model_id, "1x1", "", 0)


def test_one_variant_is_the_default_whatever_is_published(books: Books) -> None:
    model_id = "images/default"
    make_model(books, model_id, {}, **MADE)
    for size, is_default in (("1x1", False), ("2x2", False), ("3x3", True), ("3x3", False), ("1x1", False)):
        publish(books, model_id, size, "", 10, is_default=is_default)
    read = "select size from gateway.image_prices where model_id = %s and is_default"
    assert books.rows(read, model_id) == [("3x3",)]


def test_variants_published_at_once_leave_one_default(books: Books) -> None:
    model_id = "images/race"
    make_model(books, model_id, {}, **MADE)
    publish(books, model_id, "0x0", "", 10)
    all_there, failed = threading.Barrier(8), []

    def publish_many(number: int) -> None:
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

    threads = [threading.Thread(target=publish_many, args=(number,)) for number in range(8)]
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
        publish(books, model_id, **{"size": "1x1", "quality": "", "cost": 1, **wrong})
    assert books.rows("select from gateway.provider_offers where model_id = %s", model_id) == []


def test_the_list_of_models_shows_images_and_their_rates(books: Books) -> None:
    model_id = image_model(books, "images/listed")
    (listed,) = [each for each in books.call("list_models") if each["id"] == model_id]
    (offer,) = listed["offers"]
    assert (offer["provider"], offer["rates"]) == (PROVIDER, None)
    assert [(each["size"], each["quality"], each["rate"], each["is_default"]) for each in offer["images"]] == [
        ("1024x1024", "medium", 42_000_000, True),
        ("1536x1024", "medium", 63_000_000, False),
        ("1024x1024", "high", 167_000_000, False),
    ]


def test_a_default_that_costs_far_more_waits_until_it_is_confirmed(books: Books) -> None:
    model_id = "images/default-jumps"
    make_model(books, model_id, {}, **MADE)
    publish(books, model_id, "1x1", "", 100)
    waiting = publish(books, model_id, "2x2", "", 100_000, is_default=True)
    assert waiting == {"price_id": waiting["price_id"], "is_default_pending": True}
    customer = make_customer(books, credit=10**6)
    assert ask(customer, model_id)["hold"]["amount_nanos"] == 100
    # It is on offer for who names it, and stays no default however often it is published.
    assert ask(customer, model_id, image_size="2x2")["hold"]["amount_nanos"] == 100_000
    assert publish(books, model_id, "2x2", "", 100_000, is_default=True) == waiting
    assert ask(customer, model_id)["hold"]["amount_nanos"] == 100
    confirmed = publish(books, model_id, "2x2", "", 100_000, is_default=True, is_confirmed=True)
    assert confirmed == {"price_id": waiting["price_id"]}
    assert ask(customer, model_id)["hold"]["amount_nanos"] == 100_000
