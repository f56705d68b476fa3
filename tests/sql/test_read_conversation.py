"""What a request may name of stored responses: as much as is opened at once, whole, and no hole in it."""

import uuid
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer

CONTENT = "sealed words"
MAX_READ_BYTES = 16 << 20
MAX_DEPTH = 1000
# Rows without the requests that they are of: a thousand of those would take a minute.
INSERT_CHAIN = """
    insert into gateway.stored_responses (generation_id, account_id, previous_id, content, size_bytes, expires_at)
    select ids[n], %(account_id)s, case when n > 1 then ids[n - 1] end, 'sealed', 1, gateway.clock() + interval '1 day'
      from (select array_agg(gen_random_uuid()) as ids from generate_series(1, %(count)s)) as made,
           generate_series(1, %(count)s) as n
    returning generation_id, previous_id
"""
# As if the chain had been read, and a part of it deleted before its contents were.
DELETE_WHAT_WAS_READ = """
    alter function gateway.response_chain(bigint, uuid, timestamptz) rename to response_chain_before;
    create function gateway.response_chain(p_account_id bigint, p_last_id uuid, p_now timestamptz)
    returns table (depth int, generation_id uuid, previous_id uuid)
    language plpgsql as $$
    begin
        return query select * from gateway.response_chain_before(p_account_id, p_last_id, p_now);
        delete from gateway.stored_responses as stored
         where stored.account_id = p_account_id and stored.previous_id is null;
    end $$;
"""


@pytest.fixture
def customer(books: Books) -> Customer:
    customer = make_customer(books)
    customer.credit(1_000)
    return customer


def store(customer: Customer, *, size_bytes: int = len(CONTENT), previous_id: uuid.UUID | None = None) -> uuid.UUID:
    generation_id = customer.admitted(tokens=1)
    given = {"previous_id": previous_id, "content": CONTENT, "size_bytes": size_bytes}
    assert customer.books.call("store_response", generation_id=generation_id, **given) == {"verdict": "stored"}
    return generation_id


def read(customer: Customer, previous_id: uuid.UUID | None = None, *named_ids: uuid.UUID) -> Any:
    named = [str(named_id) for named_id in named_ids]
    return customer.books.call("read_conversation", caller=customer.caller(), previous_id=previous_id, named_ids=named)


def caller_and(customer: Customer, previous_id: uuid.UUID) -> tuple[Jsonb, uuid.UUID]:
    return Jsonb(customer.caller()), previous_id


def test_a_conversation_is_bounded_by_what_is_in_it_and_not_by_its_sealed_text(customer: Customer) -> None:
    first = store(customer, size_bytes=MAX_READ_BYTES - 1)
    second = store(customer, size_bytes=1, previous_id=first)
    assert read(customer, second)["earlier"] == [CONTENT, CONTENT]
    third = store(customer, size_bytes=1, previous_id=second)
    assert read(customer, third)["code"] == "conversation_too_large"
    # What is named by its items counts with it, and what is in the chain counts once.
    assert read(customer, second, first)["verdict"] == "conversation"
    assert read(customer, first, second)["verdict"] == "conversation"
    assert read(customer, second, third)["code"] == "conversation_too_large"
    assert read(customer, None, first, second, third)["code"] == "conversation_too_large"


def test_a_chain_longer_than_is_followed_is_too_large_and_not_deleted(customer: Customer) -> None:
    with customer.books.owner.transaction(force_rollback=True):
        customer.books.rows("alter table gateway.stored_responses drop constraint stored_responses_generation_id_fkey")
        cursor = customer.books.owner.execute(
            INSERT_CHAIN.encode(), {"account_id": customer.account_id, "count": MAX_DEPTH + 1}
        )
        chain = [generation_id for generation_id, _ in cursor.fetchall()]
        longest, too_long = (
            customer.books.value("select api.read_conversation(%s, %s, '{}')", *caller_and(customer, last_id))
            for last_id in chain[-2:]
        )
    assert len(longest["earlier"]) == MAX_DEPTH
    assert too_long["code"] == "conversation_too_large"


def test_what_is_deleted_while_a_conversation_is_read_leaves_no_hole_in_it(customer: Customer) -> None:
    second = store(customer, previous_id=store(customer))
    with customer.books.owner.transaction(force_rollback=True):
        customer.books.rows(DELETE_WHAT_WAS_READ)
        answer = customer.books.value("select api.read_conversation(%s, %s, '{}')", *caller_and(customer, second))
    assert (answer["verdict"], answer["code"]) == ("refused", "previous_response_not_found")
    assert answer["numbers"] == {"is_there": 1}
    assert len(read(customer, second)["earlier"]) == 2
