"""Providers of which a test says what they answer when they are asked for their models."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from aiohttp import web

from infra.local.ports import LOOPBACK
from infra.local.stack import LocalStack
from shared.catalog.books import CatalogBooks
from shared.clients.database import Database
from shared.clients.http_session import open_session
from shared.clients.upstream import Upstream
from shared.core.ids import ProviderSlug
from shared.core.integrations import ProviderCredentials
from shared.flows.inference import configure_providers
from shared.flows.sync_catalog import CatalogMeans


@dataclass(slots=True)
class Listed:
    """What each provider answers, by its slug: a status and a body; and what each was asked with."""

    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def lists(self, provider: str, *entries: dict[str, Any]) -> None:
        """Have the provider list these models."""
        self.answers[provider] = (200, json.dumps({"data": entries}).encode())

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the test has it; whoever has no answer hangs up."""
        self.asked.append((request.rel_url.human_repr(), dict(request.headers)))
        answer = self.answers.get(request.match_info["provider"])
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, body = answer
        return web.Response(status=status, body=body)


@asynccontextmanager
async def serve_lists() -> AsyncIterator[Listed]:
    """Serve lists on a free port."""
    listed = Listed()
    app = web.Application()
    app.router.add_get("/{provider}/models", listed.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    listed.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    try:
        yield listed
    finally:
        await runner.cleanup()


@asynccontextmanager
async def catalog_means(stack: LocalStack, url: str, *providers: str) -> AsyncIterator[CatalogMeans]:
    """Open what a sync works with, each provider reached under its slug."""
    credentials = {ProviderSlug(slug): ProviderCredentials("a key", f"{url}/{slug}") for slug in providers}
    async with open_session() as session:
        database = Database(session, url=stack.supabase_url, key=stack.credentials.secret_key, deadline_s=20)
        yield CatalogMeans(CatalogBooks(database), Upstream(session), configure_providers(credentials))


def catalog_rows(stack: LocalStack) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the catalog by its place, with the transaction that wrote it."""
    tables = ("models", "prices", "provider_offers", "image_prices", "model_aliases", "providers", "catalog_facts")
    with psycopg.connect(stack.database_url) as session:
        return {
            table: session.execute(f"select ctid::text, xmin::text from gateway.{table} order by 1".encode()).fetchall()
            for table in tables
        }
