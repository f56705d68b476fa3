"""The catcher as a Resend: what it takes, what it refuses as Resend would, and what its pages show."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from infra.local.mail_catcher.app import Catcher

MAIL = {
    "from": "Gateway <g@example.com>",
    "to": ["ada@example.com"],
    "subject": "Hello",
    "html": "<p>1</p>",
    "text": "1",
}
AUTHORISED = {"Authorization": "Bearer re_1"}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with TestServer(Catcher().app(), host="127.0.0.1") as server:
        yield str(server.make_url("")).rstrip("/")


async def ask(url: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url + path, json=body, headers=headers) as response,
    ):
        is_json = response.content_type == "application/json"
        return response.status, await response.json() if is_json else await response.text()


async def send(url: str, *, key: str | None = None, **changes: Any) -> tuple[int, Any]:
    headers = AUTHORISED if key is None else {**AUTHORISED, "Idempotency-Key": key}
    return await ask(url, "POST", "/emails", {**MAIL, **changes}, **headers)


async def caught(url: str, to: str = "") -> list[str]:
    _, answer = await ask(url, "GET", f"/_control/mails{f'?to={to}' if to else ''}")
    return [mail["subject"] for mail in answer["mails"]]


async def test_a_mail_is_kept_and_found_by_its_address(url: str) -> None:
    status, answer = await send(url)
    assert (status, list(answer)) == (200, ["id"])
    await send(url, to="eve@example.com", subject="Other")
    assert await caught(url) == ["Hello", "Other"]
    assert await caught(url, "ada@example.com") == ["Hello"]


async def test_a_key_stands_for_one_mail(url: str) -> None:
    first = await send(url, key="k")
    assert await send(url, key="k") == first
    status, answer = await send(url, key="k", subject="Changed")
    assert (status, answer["name"]) == (409, "invalid_idempotent_request")
    assert (await send(url, key="other"))[0] == 200
    assert await caught(url) == ["Hello", "Hello"]


@pytest.mark.parametrize(
    ("changes", "status", "name"),
    [
        ({"to": []}, 422, "missing_required_field"),
        ({"html": "", "text": ""}, 422, "missing_required_field"),
        ({"from": "nobody"}, 422, "invalid_from_address"),
        ({"to": ["ada"]}, 422, "validation_error"),
        ({"to": ["ada@example.com, eve@example.com"]}, 422, "validation_error"),
        ({"to": ["ada@example.com\r\nBcc: eve@example.com"]}, 422, "validation_error"),
        ({"to": [f"a{n}@example.com" for n in range(51)]}, 422, "validation_error"),
        ({"subject": "Hello\r\nBcc: eve@example.com"}, 422, "validation_error"),
        ({"headers": {"X": "1\r\nBcc: eve@example.com"}}, 422, "validation_error"),
    ],
)
async def test_what_resend_refuses_is_refused(url: str, changes: dict[str, Any], status: int, name: str) -> None:
    answered, answer = await send(url, **changes)
    assert (answered, answer["name"]) == (status, name)
    assert await caught(url) == []


async def test_without_a_key_of_the_account_nothing_is_taken(url: str) -> None:
    status, answer = await ask(url, "POST", "/emails", MAIL)
    assert (status, answer["name"]) == (401, "missing_api_key")
    assert (await ask(url, "POST", "/emails", MAIL, **AUTHORISED, **{"Idempotency-Key": "k" * 257}))[0] == 400


async def test_faults_are_for_as_often_as_was_said(url: str) -> None:
    await ask(url, "POST", "/_control/fault", {"status": 429, "times": 2})
    assert [(await send(url))[0] for _ in range(3)] == [429, 429, 200]
    await ask(url, "POST", "/_control/fault", {"status": 503})
    assert [(await send(url))[0] for _ in range(2)] == [503, 503]
    await ask(url, "POST", "/_control/fault", {})
    assert (await send(url))[0] == 200
    await ask(url, "POST", "/_control/fault", {"drops_answer": True, "times": 1})
    with pytest.raises(aiohttp.ClientError):
        await send(url, subject="Taken in silence")
    assert await caught(url) == ["Hello", "Hello", "Taken in silence"]
    await ask(url, "POST", "/_control/reset")
    assert await caught(url) == []


async def test_the_pages_show_a_mail_and_run_nothing_of_it(url: str) -> None:
    hostile = '"><script>alert(1)</script>'
    _, answer = await send(url, subject=hostile, text=hostile, html=f"<head></head>{hostile}")
    for path in ("/", f"/mails/{answer['id']}"):
        status, page = await ask(url, "GET", path)
        assert status == 200
        assert "<script" not in page
        assert "alert(1)" in page
    assert 'sandbox="allow-popups"' in (await ask(url, "GET", f"/mails/{answer['id']}"))[1]
    assert (await ask(url, "GET", "/mails/none"))[0] == 404
