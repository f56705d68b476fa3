"""A provider's record fetched over HTTP, and the ways in which it does not come."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.clients.upstream import MAX_RECORD_BYTES, Upstream, UpstreamCut, UpstreamTimeout, UpstreamUnreachable


async def serve(request: web.Request) -> web.StreamResponse:
    how = request.match_info["how"]
    if how == "silent":
        await asyncio.sleep(30)
    if how == "redirect":
        raise web.HTTPFound("/record")
    if how == "large":
        return web.Response(body=b"x" * (MAX_RECORD_BYTES + 1))
    if how in {"cut", "stalling"}:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        if how == "stalling":
            await asyncio.sleep(30)
        assert request.transport is not None
        request.transport.abort()
        return response
    key, query = request.headers["Authorization"], request.query.get("id", "")
    return web.Response(status=404 if how == "missing" else 200, text=f"{key} {query}")


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, str]]:
    app = web.Application()
    app.router.add_get("/{how}", serve)
    async with TestServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as session:
        yield Upstream(session), str(server.make_url("/"))


@pytest.mark.parametrize(("how", "status"), [("record", 200), ("missing", 404)])
async def test_a_record_comes_with_its_status(upstream: tuple[Upstream, str], how: str, status: int) -> None:
    client, url = upstream
    answer = await client.get(f"{url}{how}?id=a%26b%2Fc", {"Authorization": "Bearer k"}, timeout_s=5)
    assert answer == (status, b"Bearer k a&b/c")


async def test_a_redirect_is_not_followed_with_our_key(upstream: tuple[Upstream, str]) -> None:
    client, url = upstream
    status, _ = await client.get(f"{url}redirect", {"Authorization": "Bearer k"}, timeout_s=5)
    assert status == 302


@pytest.mark.parametrize("how", ["silent", "stalling"])
async def test_an_answer_that_does_not_come_to_its_end_is_given_up(upstream: tuple[Upstream, str], how: str) -> None:
    client, url = upstream
    started_s = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        await client.get(url + how, {}, timeout_s=0.2)
    assert time.monotonic() - started_s < 2


@pytest.mark.parametrize("how", ["cut", "large"])
async def test_an_answer_that_is_cut_or_too_large_is_none(upstream: tuple[Upstream, str], how: str) -> None:
    client, url = upstream
    with pytest.raises(UpstreamCut):
        await client.get(url + how, {}, timeout_s=5)


async def test_nobody_listening_is_unreachable(unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(UpstreamUnreachable):
            await Upstream(session).get(f"http://127.0.0.1:{unused_tcp_port}/", {}, timeout_s=5)
