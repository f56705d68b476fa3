"""What a request says of being sent again."""

import pytest
from starlette.requests import Request

from shared.core.errors import InvalidRequest
from shared.ledger.types import Claim
from shared.web.retries import read_claim
from tests.shared.web.asgi import http_scope

SECRETS = ("new" * 12, "old" * 12)
PATH = "/v1/chat/completions"
KEY = {"idempotency-key": "order-4711"}


async def claim_of(
    headers: dict[str, str], body: bytes = b"{}", *, path: str = PATH, secret_keys: tuple[str, ...] = SECRETS
) -> Claim | None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, object]:
        return incoming.pop()

    return await read_claim(Request(http_scope(path, headers=raw), receive), secret_keys)


async def known(headers: dict[str, str], body: bytes = b"{}", *, path: str = PATH) -> Claim:
    claim = await claim_of(headers, body, path=path)
    assert claim is not None
    return claim


@pytest.mark.parametrize(
    "headers", [{}, {"x-stainless-retry-count": "many"}, {"x-stainless-retry-count": "-1"}, {"retry-count": "1"}]
)
async def test_a_request_without_a_sign_is_not_known_again(headers: dict[str, str]) -> None:
    assert await claim_of(headers) is None


async def test_a_key_is_known_for_a_day_and_an_sdk_s_request_for_a_quarter_of_an_hour() -> None:
    assert (await known(KEY)).lifetime_s == 86_400
    assert (await known({"x-stainless-retry-count": "0"})).lifetime_s == 900
    assert (await known({**KEY, "x-stainless-retry-count": "1"})).lifetime_s == 86_400


@pytest.mark.parametrize(
    ("count", "is_retry"),
    [(None, False), ("0", False), ("00", False), ("1", True), ("2", True), ("10", True), ("many", False)],
)
@pytest.mark.parametrize("key", [{}, KEY], ids=["sdk", "key"])
async def test_only_a_count_above_zero_says_that_it_was_sent_before(
    key: dict[str, str], count: str | None, is_retry: bool
) -> None:
    claim = await claim_of(key if count is None else {**key, "x-stainless-retry-count": count})
    assert claim is None or claim.is_retry is is_retry
    assert (claim is None) is (not key and count in {None, "many"})


async def test_only_a_key_that_was_sent_has_hmacs() -> None:
    assert (await known({"x-stainless-retry-count": "0"})).key_hmacs is None
    assert (await known(KEY)).key_hmacs != (await known({"idempotency-key": "order-4712"})).key_hmacs


async def test_the_same_body_is_the_same_and_another_body_or_path_is_another() -> None:
    first = await known(KEY, b'{"model": "a"}')
    assert await known(KEY, b'{"model": "a"}') == first
    for other in (await known(KEY, b'{"model": "b"}'), await known(KEY, b'{"model": "a"}', path="/v1/messages")):
        assert set(other.body_hmacs).isdisjoint(first.body_hmacs)
        assert other.key_hmacs == first.key_hmacs


async def test_a_body_s_hmacs_are_the_same_with_and_without_a_key() -> None:
    assert (await known(KEY)).body_hmacs == (await known({"x-stainless-retry-count": "0"})).body_hmacs


async def test_each_secret_of_ours_gives_one_hmac_newest_first() -> None:
    both = await known(KEY)
    alone = [await claim_of(KEY, secret_keys=(secret,)) for secret in SECRETS]
    assert both.body_hmacs == tuple(claim.body_hmacs[0] for claim in alone if claim)
    assert both.key_hmacs == tuple(claim.key_hmacs[0] for claim in alone if claim and claim.key_hmacs)
    assert len({*both.body_hmacs, *(both.key_hmacs or ())}) == 4


@pytest.mark.parametrize("key", ["", "with space", "k" * 256, "schlüssel"])
async def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 255 visible ASCII"):
        await claim_of({"idempotency-key": key})
