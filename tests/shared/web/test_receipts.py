"""What a POST outside inference is known again by."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest
from starlette.requests import Request

from shared.core.errors import InvalidRequest
from shared.core.receipts import Receipt, note_replay, receipt_json
from shared.web import json_body
from shared.web.json_body import BodyTimedOut
from shared.web.receipts import read_receipt, receipt_maker
from tests.shared.web.asgi import http_scope

SECRETS = ("new" * 12, "old" * 12)
PATH = "/user/api-keys"


def make_key() -> None:
    """Stand for an endpoint."""


def rotate() -> None:
    """Stand for another."""


class Named(NamedTuple):
    """What is asked for: the address, and what it stands for."""

    path: str = PATH
    endpoint: Callable[[], None] = make_key
    params: Mapping[str, str] = {}


CREATION = Named()


def request_of(key: str | None, named: Named, *incoming: dict[str, object]) -> Request:
    raw = [] if key is None else [(b"idempotency-key", key.encode("latin-1"))]
    messages = list(incoming)

    async def receive() -> dict[str, object]:
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    scope = {**http_scope(named.path, "POST", raw), "endpoint": named.endpoint, "path_params": named.params}
    return Request(scope, receive)


async def receipt_of(
    key: str | None, body: bytes = b"{}", *, named: Named = CREATION, secrets: tuple[str, ...] = SECRETS
) -> Receipt | None:
    request = request_of(key, named, {"type": "http.request", "body": body, "more_body": False})
    return await read_receipt(request, secrets)


async def known(key: str, body: bytes = b"{}", *, named: Named = CREATION) -> Receipt:
    receipt = await receipt_of(key, body, named=named)
    assert receipt is not None
    return receipt


async def test_a_request_without_a_key_has_no_receipt() -> None:
    assert await receipt_of(None) is None
    assert receipt_json(None, sealed="x") is None


async def test_the_same_key_and_body_give_the_same_receipt_under_each_secret() -> None:
    receipt = await known("order-1")
    assert receipt == await known("order-1")
    assert len(receipt.key_hmacs) == len(receipt.body_hmacs) == len(SECRETS)
    old = await receipt_of("order-1", secrets=SECRETS[1:])
    assert old is not None
    assert (old.key_hmacs, old.body_hmacs) == (receipt.key_hmacs[1:], receipt.body_hmacs[1:])


async def test_another_key_another_body_and_another_route_are_told_apart() -> None:
    receipt = await known("order-1")
    assert (await known("order-2")).key_hmacs != receipt.key_hmacs
    assert (await known("order-2")).body_hmacs == receipt.body_hmacs
    others = [
        await known("order-1", b"{ }"),
        await known("order-1", named=Named(endpoint=rotate, params={"key_id": "key_1"})),
        await known("order-1", named=Named(endpoint=rotate, params={"key_id": "key_2"})),
    ]
    assert {other.key_hmacs for other in others} == {receipt.key_hmacs}
    assert len({receipt.body_hmacs, *(other.body_hmacs for other in others)}) == 4


async def test_two_addresses_of_one_endpoint_are_one_route() -> None:
    assert await known("order-1", named=Named(path="/user/api-key")) == await known("order-1")


async def test_a_body_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_body, "BODY_TIMEOUT_S", 0.05)
    request = request_of("order-1", CREATION, {"type": "http.request", "body": b"{", "more_body": True})
    with pytest.raises(BodyTimedOut):
        await read_receipt(request, SECRETS)


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_bug() -> None:
    half = {"type": "http.request", "body": b"{", "more_body": True}
    with pytest.raises(InvalidRequest, match="did not arrive whole"):
        await read_receipt(request_of("order-1", CREATION, half, {"type": "http.disconnect"}), SECRETS)


async def test_what_makes_two_requests_the_same_may_be_something_else_than_their_body() -> None:
    make_receipt = receipt_maker(request_of("order-1", CREATION), SECRETS)
    assert make_receipt is not None
    assert make_receipt(b"{}") == await known("order-1")
    assert make_receipt(b"other").body_hmacs != make_receipt(b"{}").body_hmacs
    assert receipt_maker(request_of(None, CREATION), SECRETS) is None


async def test_neither_key_nor_body_stands_in_a_receipt() -> None:
    shown = str((await known("order-4711", b'{"name":"my laptop"}')).to_json())
    assert "order-4711" not in shown
    assert "laptop" not in shown


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb"])
async def test_what_cannot_be_a_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await receipt_of(key)
    assert refusal.value.param == "Idempotency-Key"


async def test_what_is_sealed_travels_with_the_receipt() -> None:
    receipt = await known("order-1")
    assert receipt_json(receipt, sealed="text") == {
        "key_hmacs": list(receipt.key_hmacs),
        "body_hmacs": list(receipt.body_hmacs),
        "sealed": "text",
        "route": "make_key",
    }
    assert receipt.to_json()["sealed"] is None


def test_a_replay_says_that_it_is_one() -> None:
    headers = {"X-Generation-Id": "gen_1"}
    note_replay(headers)
    assert headers == {"X-Generation-Id": "gen_1", "Idempotent-Replayed": "true"}
