"""Each provider's list by itself: what one of them answers takes nothing from another."""

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from infra.local.stack import LocalStack
from shared.core.errors import StoreUnavailable
from shared.flows.sync_catalog import LIST_LIMIT_BYTES, CatalogCounts, sync_catalog
from tests.shared.flows.listed import Listed, catalog_means, catalog_rows, serve_lists

READ_OFFERS = """
    select offer.provider, upstream_model, (price.price).input_tokens, retired_at is not null
      from gateway.provider_offers as offer join gateway.prices as price on price.id = offer.price_id
     where offer.model_id = %s order by offer.provider
"""
ALL = ("openrouter", "chutes")


@pytest.fixture
async def listed() -> AsyncIterator[Listed]:
    async with serve_lists() as listed:
        yield listed


def openrouter_entry(model: str, dollars: str = "0.000001") -> dict[str, Any]:
    return {
        "id": model,
        "name": model,
        "context_length": 1000,
        "hugging_face_id": f"HF/{model.partition('/')[2]}",
        "pricing": {"prompt": dollars, "completion": dollars},
    }


def chutes_entry(model: str, dollars: float = 0.5) -> dict[str, Any]:
    return {"id": model, "max_model_len": 500, "pricing": {"prompt": dollars, "completion": dollars}}


def offers(stack: LocalStack, model: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.database_url) as session:
        return session.execute(READ_OFFERS, (model,)).fetchall()


def forget(stack: LocalStack) -> None:
    """Have no provider's list known, so that what a test lists misses nothing."""
    with psycopg.connect(stack.database_url) as session:
        session.execute("update gateway.provider_offers set is_listed = false")


@pytest.fixture
def model(catalog_stack: LocalStack) -> str:
    forget(catalog_stack)
    return f"listed/m-{secrets.token_hex(4)}"


async def run(stack: LocalStack, listed: Listed, *providers: str) -> CatalogCounts:
    async with catalog_means(stack, listed.url, *providers) as means:
        return await sync_catalog(means)


def events(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines()]


async def test_one_model_at_two_providers_has_two_offers_and_again_nothing_is_written(
    catalog_stack: LocalStack, listed: Listed, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = model.partition("/")[2]
    listed.lists("openrouter", openrouter_entry(model), {"id": "bad"})
    listed.lists("chutes", chutes_entry(f"HF/{name}-TEE"), chutes_entry(f"HF/{name}-other", dollars=0))
    assert await run(catalog_stack, listed, *ALL) == CatalogCounts(added=2, skipped=2)
    assert offers(catalog_stack, model) == [
        ("chutes", f"HF/{name}-TEE", 525_000_000, False),
        ("openrouter", model, 1_050_000_000, False),
    ]
    before = catalog_rows(catalog_stack)
    assert await run(catalog_stack, listed, *ALL) == CatalogCounts(unchanged=2, skipped=2)
    assert catalog_rows(catalog_stack) == before
    told = events(capsys.readouterr().out)
    assert [(line["event"], line["provider"], line["skipped"]) for line in told[:2]] == [
        ("catalog_synced", "openrouter", {"malformed": 1}),
        ("catalog_synced", "chutes", {"unpriced": 1}),
    ]


async def test_a_list_is_asked_for_as_the_provider_has_it(
    catalog_stack: LocalStack, listed: Listed, model: str
) -> None:
    for slug in ("openrouter", "portkey"):
        listed.answers[slug] = (503, b"")
    await run(catalog_stack, listed, "openrouter", "portkey")
    ((openrouter, with_bearer), (portkey, with_key)) = listed.asked
    assert openrouter == "/openrouter/models?output_modalities=text,embeddings"
    assert portkey == "/portkey/models"
    assert (with_bearer["Authorization"], with_key["x-portkey-api-key"]) == ("Bearer a key", "a key")


async def test_one_model_that_is_listed_wrongly_takes_no_other_away(
    catalog_stack: LocalStack, listed: Listed, model: str
) -> None:
    beside = openrouter_entry(f"{model}-beside")
    far = {**beside["pricing"], "overrides": [{"min_prompt_tokens": 3_000_000_000, "prompt": "0.00001"}]}
    dear = {"prompt": "999", "completion": "999"}
    wrong = [
        beside | {"supported_parameters": ["to\0ols", "\ud83d", "tools"]},
        openrouter_entry(f"{model}-far") | {"pricing": far},
        openrouter_entry(f"{model}-dear") | {"pricing": dear},
        openrouter_entry("simulated/echo"),
    ]
    listed.lists("openrouter", openrouter_entry(model), *wrong)
    assert await run(catalog_stack, listed, "openrouter") == CatalogCounts(added=2, skipped=3)
    assert await run(catalog_stack, listed, "openrouter") == CatalogCounts(unchanged=2, skipped=3)


async def test_a_model_that_another_list_had_first_stays_on_offer_as_it_was(
    catalog_stack: LocalStack, listed: Listed, model: str
) -> None:
    name = model.partition("/")[2]
    listed.lists("chutes", chutes_entry(f"HF/{name}"))
    await run(catalog_stack, listed, *ALL)
    assert [provider for provider, *_ in offers(catalog_stack, f"hf/{name}")] == ["chutes"]
    listed.lists("openrouter", openrouter_entry(model))
    assert await run(catalog_stack, listed, *ALL) == CatalogCounts(added=1, unchanged=1)
    for model_id, seller in ((f"hf/{name}", "chutes"), (model, "openrouter")):
        assert [(provider, is_retired) for provider, _, _, is_retired in offers(catalog_stack, model_id)] == [
            (seller, False)
        ]
    assert await run(catalog_stack, listed, *ALL) == CatalogCounts(unchanged=2)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((503, b'{"data": []}'), "status 503"),
        ((302, b""), "status 302"),
        ((200, b"<html>"), "malformed"),
        ((200, b'{"data": null}'), "malformed"),
        ((200, b'{"data": "' + b"x" * LIST_LIMIT_BYTES + b'"}'), "UpstreamTooLarge"),
        (None, "UpstreamCut"),
    ],
)
async def test_a_provider_that_answers_with_no_list_changes_nothing_and_is_told_of(
    catalog_stack: LocalStack,
    listed: Listed,
    model: str,
    capsys: pytest.CaptureFixture[str],
    *,
    answer: tuple[int, bytes] | None,
    reason: str,
) -> None:
    listed.lists("openrouter", openrouter_entry(model))
    listed.lists("chutes", chutes_entry(f"own/{model}"))
    await run(catalog_stack, listed, *ALL)
    before = catalog_rows(catalog_stack)
    capsys.readouterr()
    if answer is None:
        del listed.answers["openrouter"]
    else:
        listed.answers["openrouter"] = answer
    assert await run(catalog_stack, listed, *ALL) == CatalogCounts(unchanged=1, lists_unread=1)
    assert catalog_rows(catalog_stack) == before
    (unread,) = [line for line in events(capsys.readouterr().out) if line["event"] == "catalog_list_unread"]
    assert (unread["level"], unread["provider"], unread["reason"]) == ("warning", "openrouter", reason)


async def test_a_provider_that_is_not_there_changes_nothing(
    catalog_stack: LocalStack, listed: Listed, model: str
) -> None:
    before = catalog_rows(catalog_stack)
    async with catalog_means(catalog_stack, "http://127.0.0.1:1", *ALL) as means:
        assert await sync_catalog(means) == CatalogCounts(lists_unread=2)
    assert catalog_rows(catalog_stack) == before


async def test_an_empty_list_is_not_believed(
    catalog_stack: LocalStack, listed: Listed, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed.lists("openrouter", openrouter_entry(model))
    await run(catalog_stack, listed, "openrouter")
    listed.lists("openrouter")
    assert await run(catalog_stack, listed, "openrouter") == CatalogCounts(lists_waiting=1)
    assert offers(catalog_stack, model) == [("openrouter", model, 1_050_000_000, False)]
    told = events(capsys.readouterr().out)[-1]
    assert (told["event"], told["listed"], told["missing"], told["offered"]) == ("catalog_list_waits", 0, 1, 1)
    assert told["added"] == 0


async def test_a_store_that_is_away_fails_the_sync_and_the_next_one_does_it(
    catalog_stack: LocalStack, listed: Listed, model: str
) -> None:
    listed.lists("openrouter", openrouter_entry(model))
    with catalog_stack.without("postgrest"), pytest.raises(StoreUnavailable):
        await run(catalog_stack, listed, "openrouter")
    assert await run(catalog_stack, listed, "openrouter") == CatalogCounts(added=1)


async def test_a_provider_that_nobody_has_a_key_for_is_not_asked(
    catalog_stack: LocalStack, listed: Listed, model: str
) -> None:
    assert await run(catalog_stack, listed) == CatalogCounts()
    assert listed.asked == []
