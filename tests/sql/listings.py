"""Providers' lists as the store takes them, and what the catalog's tables hold."""

from typing import Any

from psycopg.types.json import Jsonb

from tests.sql.admins import OPERATOR
from tests.sql.books import NANO_PER_TOKEN, PROVIDER, Books

CATALOG_TABLES = ("models", "prices", "provider_offers", "image_prices", "model_aliases", "providers", "catalog_facts")
READ_OFFER = """
    select offer.upstream_model, (price.cost).input_tokens / 1000000, (waiting.cost).input_tokens / 1000000,
           offer.retired_at is not null
      from gateway.provider_offers as offer
      left join gateway.prices as price on price.id = offer.price_id
      left join gateway.prices as waiting on waiting.id = offer.pending_price_id
     where offer.model_id = %s and offer.provider = %s
"""


def cost_of(nanos_per_token: float, **units: float) -> dict[str, int]:
    """Return a cost of so many nano-dollars a token; `units` names what costs otherwise."""
    rates = {"input_tokens": nanos_per_token, "output_tokens": nanos_per_token, **units}
    return {unit: round(rate * NANO_PER_TOKEN) for unit, rate in rates.items()}


def listing(model_id: str, nanos_per_token: float = 1, **fields: Any) -> dict[str, Any]:
    """Return a listed model whose token costs so many nano-dollars."""
    return {
        "model_id": model_id,
        "upstream_model": f"up/{model_id}",
        "names": [],
        "name": model_id.title(),
        "description": "Listed.",
        "context_length": 1000,
        "max_output_tokens": 100,
        "image_input_tokens": None,
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "supported_parameters": ["tools"],
        "cost": cost_of(nanos_per_token),
        "long_from_tokens": None,
        "long_cost": None,
        **fields,
    }


def sync(books: Books, provider: str, *listings: dict[str, Any]) -> Any:
    """Have a provider's list synced."""
    return books.call("sync_listing", provider=provider, listings=Jsonb(list(listings)))


def counts(answer: dict[str, Any]) -> dict[str, int]:
    """Return what a sync did, without what it did not."""
    assert answer["verdict"] == "synced", answer
    return {name: count for name, count in answer.items() if name != "verdict" and count}


def change_offer(books: Books, model_id: str, *, provider: str = PROVIDER, **changes: Any) -> Any:
    """Have an admin change an offer; return it as he is shown it, or what he is refused with."""
    offer = {"provider": provider, **changes}
    answer = books.call("update_model", admin=OPERATOR, model_id=model_id, changes={"offer": offer})
    if answer["verdict"] == "refused":
        return answer
    (shown,) = [each for each in answer["model"]["offers"] if each["provider"] == provider]
    return shown


def set_price(books: Books, model_id: str, nanos_per_token: float, **units: float) -> Any:
    """Have an admin set the price of an offer."""
    return change_offer(books, model_id, price=cost_of(nanos_per_token, **units))


def offer_of(books: Books, model_id: str, provider: str) -> tuple[str, int | None, int | None, bool]:
    """Return an offer's upstream model, its cost a token, the cost that waits, and whether it is retired."""
    ((upstream_model, cost, waiting, is_retired),) = books.rows(READ_OFFER, model_id, provider)
    return upstream_model, cost, waiting, is_retired


def row_versions(books: Books) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the catalog by its place, with the transaction that wrote it."""
    return {
        table: books.rows(f"select ctid::text, xmin::text from gateway.{table} order by 1") for table in CATALOG_TABLES
    }
