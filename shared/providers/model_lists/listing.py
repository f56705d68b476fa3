"""One model as a provider lists it, and what is common to all lists."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from shared.core.money import UNITS_PER_RATE, rate_from_dollars
from shared.providers.raw_json import MalformedAnswer, decode

# The largest list known, Featherless's, has some 22,000.
MAX_ENTRIES = 100_000
# As the store has them: infra/supabase/migrations/…_catalog.sql.
MODEL_ID = re.compile(r"[!-~]{1,200}")
MAX_CONTEXT_LENGTH = 100_000_000
MAX_OUTPUT_TOKENS = 10_000_000
MAX_NAME_CHARACTERS = 200
MAX_DESCRIPTION_CHARACTERS = 2_000
# The store takes rates up to 10**18: this is one under the largest markup, too, which is a hundred times the cost.
# It is 9 dollars for a token, an image or a request.
MAX_COST = 9 * 10**15
MAX_PARAMETERS = 100
PARAMETER = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider takes, in nano-dollars per million units; None: it publishes no price of its own for that."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    images: int | None = None
    requests: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether it takes nothing, whatever is asked."""
        return not (self.input_tokens or self.output_tokens or self.images or self.requests)


class LongContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a request takes whose prompt has so many tokens or more."""

    from_tokens: int
    cost: Cost


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a provider lists; None where the list does not say.

    model_id: what our id of it may be, judged by the provider's own name; other_names: by which it is also known.
    priced_as: under which key its price may be found elsewhere. is_free_on_purpose: its name says that it is free.
    """

    upstream_model: str
    model_id: str
    other_names: tuple[str, ...] = ()
    name: str
    description: str = ""
    context_length: int | None
    max_output_tokens: int | None
    input_modalities: tuple[str, ...] | None
    output_modalities: tuple[str, ...] = ("text",)
    supported_parameters: tuple[str, ...] = ()
    cost: Cost | None
    long_context: LongContext | None = None
    priced_as: str | None = None
    is_free_on_purpose: bool = False


class Unusable(StrEnum):
    """Why an entry of a list is passed over."""

    MALFORMED = "malformed"
    UNAVAILABLE = "unavailable"
    PRICE_VARIES = "price_varies"
    PRICE_UNKNOWN = "price_unknown"
    NOT_TEXT = "not_text"
    NOT_A_MODEL = "not_a_model"


class UnusableEntry(Exception):
    """An entry that is passed over; the rest of the list counts."""

    def __init__(self, why: Unusable) -> None:
        super().__init__(why)
        self.why = why


class ModelList(msgspec.Struct, frozen=True):
    """What a list holds, and how many entries of it were passed over, by why."""

    listings: tuple[Listing, ...]
    unusable: Mapping[Unusable, int]


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw]


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def read_entries[Entry](
    data: bytes, decoder: "msgspec.json.Decoder[Entry]", read: Callable[[Entry], Listing]
) -> ModelList:
    """Read `{"data": […]}`, each entry by itself.

    raises  MalformedAnswer when there is no such list
    policy  a bad entry is passed over and counted: one model that is listed wrongly takes no other away
    """
    entries = decode(_ENVELOPE, data).data
    if len(entries) > MAX_ENTRIES:
        raise MalformedAnswer(f"a list of {len(entries)} models")
    listings: dict[str, Listing] = {}
    unusable: Counter[Unusable] = Counter()
    for entry in entries:
        try:
            listing = _checked(read(decode(decoder, bytes(entry))))
            if listing.upstream_model in listings:
                raise UnusableEntry(Unusable.MALFORMED)
            listings[listing.upstream_model] = listing
        except UnusableEntry as error:
            unusable[error.why] += 1
        except (MalformedAnswer, ValueError):
            unusable[Unusable.MALFORMED] += 1
    return ModelList(tuple(listings.values()), unusable)


def rate_per_token(dollars: Decimal | None) -> int | None:
    """Return a price per token, image or request as a rate; None where there is none.

    raises  ValueError for what is no price
    """
    return None if dollars is None else rate_from_dollars(dollars, units=1)


def rate_per_million(dollars: Decimal | None) -> int | None:
    """Return a price per million tokens as a rate; None where there is none.

    raises  ValueError for what is no price
    """
    return None if dollars is None else rate_from_dollars(dollars, units=UNITS_PER_RATE)


def cost_per_million(
    input_price: Decimal | None, output_price: Decimal | None, cached_input_price: Decimal | None = None
) -> Cost | None:
    """Return a cost of prices per million tokens; None where input or output has none.

    raises  ValueError for what is no price
    """
    input_tokens, output_tokens = rate_per_million(input_price), rate_per_million(output_price)
    if input_tokens is None or output_tokens is None:
        return None
    cached = rate_per_million(cached_input_price)
    return Cost(input_tokens=input_tokens, output_tokens=output_tokens, cached_input_tokens=cached)


def _checked(listing: Listing) -> Listing:
    ids = (listing.upstream_model, listing.model_id)
    if not all(MODEL_ID.fullmatch(each) for each in ids):
        raise UnusableEntry(Unusable.MALFORMED)
    if any(value is not None and not least <= value <= most for value, least, most in _bounded(listing)):
        raise UnusableEntry(Unusable.MALFORMED)
    return msgspec.structs.replace(
        listing,
        other_names=tuple(name for name in listing.other_names if MODEL_ID.fullmatch(name)),
        name=_plain(listing.name)[:MAX_NAME_CHARACTERS] or listing.model_id,
        description=_plain(listing.description)[:MAX_DESCRIPTION_CHARACTERS],
        supported_parameters=tuple(name for name in listing.supported_parameters if PARAMETER.fullmatch(name))[
            :MAX_PARAMETERS
        ],
    )


def _bounded(listing: Listing) -> Iterator[tuple[int | None, int, int]]:
    """Return every number that the store bounds: itself, the least and the most that it may be."""
    yield listing.context_length, 1, MAX_CONTEXT_LENGTH
    yield listing.max_output_tokens, 0, MAX_OUTPUT_TOKENS
    long_context = listing.long_context
    if long_context is not None:
        yield long_context.from_tokens, 1, MAX_CONTEXT_LENGTH
    for cost in (listing.cost, None if long_context is None else long_context.cost):
        for rate in () if cost is None else msgspec.structs.astuple(cost):
            yield rate, 0, MAX_COST


def _plain(text: str) -> str:
    """Return text that the store takes: PostgreSQL knows no NUL, and no half of a character."""
    return text.replace("\0", "").encode(errors="replace").decode().strip()
