"""What admins send about models, offers, providers and switches."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool

from functions.admin.bodies import Fields, read_changes, read_dollars
from shared.core.errors import InvalidRequest
from shared.core.ids import ModelId, ProviderSlug
from shared.ledger.refusals import ModelNotFound
from shared.operations.refusals import ProviderNotFound

PPM_PER_PERCENT = 10_000
UNITS_PER_RATE = 1_000_000
MAX_MARKUP_PERCENT = 10_000
MAX_PRICE_DOLLARS = 1_000_000
MAX_REQUEST_DOLLARS = 100
MAX_BOUND_DOLLARS = 1_000_000
MAX_NAME_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 5_000
_MODEL = re.compile(r"[!-~]{1,200}", re.ASCII)
_SLUG = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_PERCENT = re.compile(r"\d{1,5}(\.\d{1,4})?", re.ASCII)
_DOLLARS = re.compile(r"\d{1,7}(\.\d{1,9})?", re.ASCII)


def _percent(text: str) -> str:
    if not _PERCENT.fullmatch(text) or Decimal(text) > MAX_MARKUP_PERCENT:
        raise ValueError(f'must be percent as a decimal string such as "5" or "12.5", up to {MAX_MARKUP_PERCENT}')
    return text


def _price(text: str) -> str:
    return _dollars(text, MAX_PRICE_DOLLARS)


def _request_price(text: str) -> str:
    return _dollars(text, MAX_REQUEST_DOLLARS)


def _bound(text: str) -> str:
    if Decimal(_dollars(text, MAX_BOUND_DOLLARS)) == 0:
        raise ValueError("must be above 0; null is no bound")
    return text


def _dollars(text: str, most: int) -> str:
    if not _DOLLARS.fullmatch(text) or Decimal(text) > most:
        raise ValueError(f'must be US dollars as a decimal string such as "0.25", up to {most}')
    return text


def _visible(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be characters that can be seen")
    return text.strip()


def _storable(text: str) -> str:
    if "\x00" in text or (not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text)):
        raise ValueError("must not have null characters or halves of characters")
    return text


Percent = Annotated[str, AfterValidator(_percent)]
Price = Annotated[str, AfterValidator(_price)]


class PriceBody(Fields):
    """What customers pay, in US dollars per million tokens, and per request.

    A cache's is the input's unless told, a request's nothing. Images of a prompt follow the markup.
    """

    input: Price
    output: Price
    cached_input: Price | None = None
    cache_write: Price | None = None
    request: Annotated[str, AfterValidator(_request_price)] | None = None


class OfferChanges(Fields):
    """One offer of a model: what is absent stays.

    markup_percent: null for its provider's; price: null for cost and markup again; confirm_price_id: the price that
    waits, as it was looked at, and so neither of the other two with it
    """

    provider: Annotated[str, Field(pattern=rf"^{_SLUG.pattern}$")]
    is_enabled: StrictBool = True
    markup_percent: Percent | None = None
    price: PriceBody | None = None
    confirm_price_id: Annotated[int, Field(ge=1, le=2**63 - 1)] = 1


class ModelChanges(Fields):
    """PATCH /admin/models/{id}: what is absent stays."""

    is_enabled: StrictBool = True
    name: Annotated[str, Field(max_length=MAX_NAME_LENGTH), AfterValidator(_visible)] = ""
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION_LENGTH), AfterValidator(_storable)] = ""
    offer: OfferChanges | None = None


class ProviderChanges(Fields):
    """PATCH /admin/providers/{slug}: what is absent stays.

    may_shrink: its next list may miss more than half of what is offered; may_grow: it may add any number
    """

    is_enabled: StrictBool = True
    markup_percent: Percent = "0"
    may_shrink: StrictBool = False
    may_grow: StrictBool = False


class SwitchesBody(Fields):
    """PUT /admin/switches: what is absent stays; a bound that is null is none."""

    stop_trials: StrictBool = False
    stop_inference: StrictBool = False
    daily_loss_bound: Annotated[str, AfterValidator(_bound)] | None = None


def read_model_id(text: str) -> ModelId:
    """Read the id of a model that a path names; what cannot be one names none.

    raises  ModelNotFound
    """
    if not _MODEL.fullmatch(text):
        raise ModelNotFound("There is no such model. GET /admin/models lists those there are.", param="id")
    return ModelId(text)


def read_slug(text: str) -> ProviderSlug:
    """Read the slug of a provider that a path names.

    raises  ProviderNotFound for what can be none
    """
    if not _SLUG.fullmatch(text):
        raise ProviderNotFound("There is no such provider. GET /admin/providers lists those there are.", param="slug")
    return ProviderSlug(text)


def read_model_changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes in the database's words.

    raises  InvalidRequest
    """
    given = read_changes(ModelChanges, body)
    if "offer" not in given:
        return given
    offer = given["offer"]
    if offer is None or set(offer) == {"provider"}:
        raise InvalidRequest("offer: name its provider and at least one thing to change.", param="offer")
    if "confirm_price_id" in offer and offer.keys() & {"markup_percent", "price"}:
        raise InvalidRequest(
            "offer.confirm_price_id: a price is confirmed as it is; change markup_percent or price in another request.",
            param="offer.confirm_price_id",
        )
    if "markup_percent" in offer:
        offer["markup_ppm"] = _ppm(offer.pop("markup_percent"))
    if offer.get("price") is not None:
        offer["price"] = _rates(offer["price"])
    return given


def read_provider_changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes in the database's words.

    raises  InvalidRequest
    """
    given = read_changes(ProviderChanges, body)
    if "markup_percent" in given:
        given["markup_ppm"] = _ppm(given.pop("markup_percent"))
    return given


def read_switches(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes in the database's words.

    raises  InvalidRequest
    """
    given = read_changes(SwitchesBody, body)
    named = {"stop_trials": "are_trials_stopped", "stop_inference": "is_inference_stopped"}
    changes = {named[name]: value for name, value in given.items() if name in named}
    if "daily_loss_bound" in given:
        bound = given["daily_loss_bound"]
        changes["daily_loss_bound_nanos"] = None if bound is None else read_dollars(bound)
    return changes


def _ppm(percent: str | None) -> int | None:
    return None if percent is None else int(Decimal(percent) * PPM_PER_PERCENT)


def _rates(price: Mapping[str, str | None]) -> dict[str, int]:
    """Name the units as the database does; its rates are nano-dollars per million of each."""
    units = {"input": "input_tokens", "output": "output_tokens", "cached_input": "cached_input_tokens"}
    units |= {"cache_write": "cache_write_tokens"}
    rates = {unit: int(read_dollars(text)) for name, unit in units.items() if (text := price.get(name)) is not None}
    if (request := price.get("request")) is not None:
        rates["requests"] = int(read_dollars(request)) * UNITS_PER_RATE
    return rates
