"""What stands before a request with a session, and whether what it would leave there fits."""

import uuid
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.chats import append, keeper, new_session, say, turn
from tests.sql.customers import Customer

INSERT_MODEL = """
    insert into gateway.models (id, name, context_length, max_output_tokens, image_input_tokens, is_enabled)
    values (%s, %s, %s, %s, %s, %s)
"""
COUNT_AS = "update gateway.chat_usage set messages = %s, size_bytes = %s where account_id = %s"
COUNT_SESSION_AS = "update gateway.chat_sessions set messages = %s where id = %s"
KEEP_NOTHING = "update gateway.accounts set is_zero_retention = true where id = %s"


@pytest.fixture
def customer(books: Books) -> Customer:
    return keeper(books, credit=1_000_000)


def make_model(
    books: Books, context_length: int, *, most: int = 100, image_tokens: int | None = None, is_enabled: bool = True
) -> str:
    name = f"test/{uuid.uuid4().hex[:12]}"
    books.rows(INSERT_MODEL, name, name, context_length, most, image_tokens, is_enabled)
    return name


def begun(*models: str, **other: int) -> Jsonb:
    nothing = {"input_tokens": 0, "output_tokens": 0, "images": 0, "messages": 2, "size_bytes": 0, "largest_bytes": 0}
    return Jsonb({**nothing, **other, "models": list(models)})


def budget(books: Books, *models: str, **other: int) -> int:
    ((tokens,),) = books.rows("select gateway.turn_budget(%s)", begun(*models, **other))
    return int(tokens)


def begin(customer: Customer, session_id: int, *models: str, **other: int) -> Any:
    return customer.books.call(
        "begin_chat_turn", caller=customer.caller(), session_id=session_id, turn=begun(*models, **other)
    )


def test_the_budget_is_what_a_model_has_left(books: Books) -> None:
    model = make_model(books, 10_000, most=500, image_tokens=30)
    assert budget(books, model) == 10_000
    assert budget(books, model, input_tokens=1_000, output_tokens=200, images=2) == 10_000 - 1_000 - 200 - 60
    # No answer is longer than the model's.
    assert budget(books, model, output_tokens=10_000_000) == 9_500
    assert budget(books, model, input_tokens=20_000) == 0
    assert budget(books, model, input_tokens=2_000_000_000, output_tokens=10_000_000, images=1_000) == 0


def test_the_budget_is_the_least_of_all_models_that_may_answer_and_has_a_limit(books: Books) -> None:
    small, large = make_model(books, 8_000), make_model(books, 1_000_000)
    hidden = make_model(books, 10, is_enabled=False)
    assert budget(books, large) == 100_000
    assert budget(books, large, small, hidden) == 8_000
    # Whether there is such a model admission says.
    assert budget(books, "test/none-such") == 100_000


def test_turns_are_told_within_the_budget(books: Books, customer: Customer) -> None:
    session_id, model = new_session(customer), make_model(books, 250)
    for number in range(5):
        say(customer, session_id, f"question {number} " + "x" * 60)
        say(customer, session_id, f"answer {number}", "assistant")
    told = begin(customer, session_id, model)
    assert (told["verdict"], told["is_cut"]) == ("turns", True)
    assert told["messages"][0]["content"].startswith("question 3")
    assert begin(customer, session_id, model, input_tokens=200)["messages"] == []


@pytest.mark.parametrize(
    ("turn_", "usage", "code"),
    [
        ({"messages": 2}, (199_998, 0, 0), None),
        ({"messages": 3}, (199_998, 0, 0), "history_full"),
        ({"size_bytes": 10}, (0, 268_435_446, 0), None),
        ({"size_bytes": 11}, (0, 268_435_446, 0), "history_full"),
        ({"messages": 2}, (0, 0, 9_998), None),
        ({"messages": 3}, (0, 0, 9_998), "session_full"),
        ({"largest_bytes": 262_144}, (0, 0, 0), None),
        ({"largest_bytes": 262_145}, (0, 0, 0), "message_too_large"),
    ],
)
def test_a_turn_that_would_not_fit_is_refused_before_it_is_asked_for(
    books: Books, customer: Customer, turn_: dict[str, int], usage: tuple[int, int, int], code: str | None
) -> None:
    session_id, model = new_session(customer), make_model(books, 1000)
    books.rows(COUNT_AS, usage[0], usage[1], customer.account_id)
    books.rows(COUNT_SESSION_AS, usage[2], session_id)
    told = begin(customer, session_id, model, **turn_)
    assert told.get("code") == code
    assert told["policy"]["account_id"] == customer.account_id
    # Where nothing is stored nothing is too much.
    books.rows(KEEP_NOTHING, customer.account_id)
    assert begin(customer, session_id, model, **turn_)["verdict"] == "turns"


def test_what_is_stored_is_held_to_the_same_bounds(books: Books, customer: Customer) -> None:
    session_id = new_session(customer)
    generation_id = customer.admitted(tokens=1)
    books.rows(COUNT_SESSION_AS, 9_999, session_id)
    assert append(books, generation_id, session_id, *turn("q", "a"))["code"] == "session_full"
    books.rows(COUNT_SESSION_AS, 9_998, session_id)
    assert append(books, generation_id, session_id, *turn("q", "a"))["outcome"] == "stored"


def test_who_may_not_read_is_told_nothing_of_what_is_full(books: Books, customer: Customer) -> None:
    session_id = new_session(customer)
    books.rows(COUNT_SESSION_AS, 10_000, session_id)
    stranger = keeper(books)
    assert begin(stranger, session_id, "any", messages=2)["code"] == "session_not_found"
