"""What stands before a request with a session, and whether what it would leave there fits."""

import uuid
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.chats import append, keeper, new_session, said, say, turn
from tests.sql.claims import claim_of, retry_of
from tests.sql.customers import Customer

INSERT_MODEL = """
    insert into gateway.models (id, name, context_length, max_output_tokens, image_input_tokens, is_enabled)
    values (%s, %s, %s, %s, %s, %s)
"""
COUNT_AS = "update gateway.chat_usage set messages = %s, size_bytes = %s where account_id = %s"
COUNT_SESSION_AS = "update gateway.chat_sessions set messages = %s where id = %s"
HAVE_IT_REASON = "update gateway.models set supported_parameters = '{reasoning}' where id = %s"
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
    nothing = dict.fromkeys(("input_tokens", "output_tokens", "reasoning_output_tokens", "images"), 0)
    room = {"messages": 2, "size_bytes": 0, "largest_bytes": 0}
    instructions = {"instruction_messages": 0, "instruction_bytes": 0, "largest_instruction_bytes": 0}
    return Jsonb({**nothing, **room, **instructions, **other, "models": list(models)})


def budget(books: Books, *models: str, **other: int) -> int:
    ((tokens,),) = books.rows("select gateway.turn_budget(%s)", begun(*models, **other))
    return int(tokens)


def begin(customer: Customer, session_id: int, *models: str, claim: Any = None, **other: int) -> Any:
    return customer.books.call(
        "begin_chat_turn", caller=customer.caller(), session_id=session_id, turn=begun(*models, **other), claim=claim
    )


def test_the_budget_is_what_a_model_has_left(books: Books) -> None:
    model = make_model(books, 10_000, most=500, image_tokens=30)
    assert budget(books, model) == 10_000
    assert budget(books, model, input_tokens=1_000, output_tokens=200, images=2) == 10_000 - 1_000 - 200 - 60
    # A model that reasons may take longer, whatever bound the others have.
    books.rows(HAVE_IT_REASON, model)
    assert budget(books, model, output_tokens=100, reasoning_output_tokens=300) == 10_000 - 300
    # No answer is longer than the model's.
    assert budget(books, model, reasoning_output_tokens=10_000_000) == 9_500
    assert budget(books, model, input_tokens=20_000) == 0
    assert budget(books, model, input_tokens=2_000_000_000, reasoning_output_tokens=10_000_000, images=1_000) == 0


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
        ({"largest_instruction_bytes": 262_145}, (0, 0, 0), "message_too_large"),
        ({"size_bytes": 5, "instruction_bytes": 6}, (0, 268_435_446, 0), "history_full"),
        ({"messages": 2, "instruction_messages": 1}, (199_998, 0, 0), "history_full"),
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


def test_instructions_that_would_not_be_stored_take_no_room(books: Books, customer: Customer) -> None:
    session_id, model = new_session(customer), make_model(books, 1000)
    say(customer, session_id, "be kind", "system")
    assert begin(customer, session_id, model, largest_instruction_bytes=262_145)["verdict"] == "turns"


INSTRUCTIONS = {"role": "system", "content": "be kind"}


@pytest.mark.parametrize("claim", [claim_of("k"), retry_of()], ids=["key", "SDK"])
def test_a_retry_goes_on_from_where_its_first_try_did(books: Books, customer: Customer, claim: dict[str, Any]) -> None:
    session_id, model = new_session(customer), make_model(books, 1000)
    first = {**claim, "is_retry": False}
    say(customer, session_id, "before")
    dead = customer.admitted(tokens=1, claim=first)
    assert append(books, dead, session_id, *turn("q", "a"))["outcome"] == "stored"
    told = begin(customer, session_id, model, claim=claim)
    assert [message["content"] for message in told["messages"]] == ["before"]
    assert not told["is_cut"]
    # Whoever asks something else goes on from there.
    assert len(begin(customer, session_id, model, claim=claim_of("other"))["messages"]) == 3
    assert len(begin(customer, session_id, model)["messages"]) == 3


def test_a_retry_of_a_first_turn_is_first_again(books: Books, customer: Customer) -> None:
    session_id, model = new_session(customer), make_model(books, 1000)
    dead = customer.admitted(tokens=1, claim=claim_of("k"))
    append(books, dead, session_id, INSTRUCTIONS, *turn("q", "a"))
    told = begin(customer, session_id, model, claim=claim_of("k"))
    assert (told["messages"], told["is_cut"], told["tokens"]) == ([], False, 0)


def test_a_retry_takes_the_room_that_its_first_try_took(books: Books, customer: Customer) -> None:
    session_id, model = new_session(customer), make_model(books, 1000)
    dead = customer.admitted(tokens=1, claim=claim_of("k"))
    append(books, dead, session_id, *turn("q", "a"))
    books.rows(COUNT_SESSION_AS, 10_000, session_id)
    assert begin(customer, session_id, model, claim=claim_of("k"))["verdict"] == "turns"
    assert begin(customer, session_id, model, claim=claim_of("k"), messages=3)["code"] == "session_full"
    assert begin(customer, session_id, model, claim=claim_of("other"))["code"] == "session_full"
    books.rows(COUNT_SESSION_AS, 2, session_id)
    books.rows(COUNT_AS, 200_000, 0, customer.account_id)
    assert begin(customer, session_id, model, claim=claim_of("k"))["verdict"] == "turns"
    assert begin(customer, session_id, model)["code"] == "history_full"


def test_instructions_are_left_out_where_the_session_has_begun_meanwhile(books: Books, customer: Customer) -> None:
    session_id = new_session(customer)
    ids = [customer.admitted(tokens=1) for _ in range(3)]
    for number, generation_id in enumerate(ids):
        append(books, generation_id, session_id, INSTRUCTIONS, INSTRUCTIONS, *turn(f"q{number}", "a"))
    assert said(books, session_id) == ["be kind", "be kind", "q0", "a", "q1", "a", "q2", "a"]


def test_a_first_try_ends_what_was_asked_before_in_the_same_words(books: Books, customer: Customer) -> None:
    session_id, model = new_session(customer), make_model(books, 1000)
    earlier = customer.admitted(tokens=1, claim=claim_of())
    customer.settle(earlier, 1)
    under_way = customer.admitted(tokens=1, claim=claim_of())
    keyed = customer.admitted(tokens=1, claim=claim_of("k"))
    customer.settle(keyed, 1)
    assert begin(customer, session_id, model, claim=retry_of())["verdict"] == "turns"
    assert claims(books, customer) == {earlier, under_way, keyed}
    assert begin(customer, session_id, model, claim=claim_of(body="other"))["verdict"] == "turns"
    assert begin(customer, session_id, model, claim=claim_of("k"))["verdict"] == "turns"
    assert claims(books, customer) == {earlier, under_way, keyed}
    assert begin(customer, session_id, model, claim=claim_of())["verdict"] == "turns"
    assert claims(books, customer) == {under_way, keyed}


def claims(books: Books, customer: Customer) -> set[uuid.UUID]:
    rows = books.rows("select generation_id from gateway.replays where account_id = %s", customer.account_id)
    return {generation_id for (generation_id,) in rows}
