"""What a caller may say about providers, and what routing needs to know of an offer."""

from enum import StrEnum
from typing import Protocol

import msgspec

from shared.core.ids import ModelId, ProviderSlug
from shared.core.money import Nanos


class Sort(StrEnum):
    """By what the offers of one model are ordered."""

    PRICE = "price"
    LATENCY = "latency"
    THROUGHPUT = "throughput"


class DataCollection(StrEnum):
    """Whether providers that keep or train on prompts may serve."""

    ALLOW = "allow"
    DENY = "deny"


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """The request's `provider` field; the defaults say what its absence means."""

    order: tuple[ProviderSlug, ...] = ()
    only: tuple[ProviderSlug, ...] | None = None
    ignore: tuple[ProviderSlug, ...] = ()
    allow_fallbacks: bool = True
    sort: Sort = Sort.PRICE
    data_collection: DataCollection = DataCollection.ALLOW


class RoutableOffer(Protocol):
    """What routing reads of an offer."""

    @property
    def model_id(self) -> ModelId:
        """The canonical model."""
        ...

    @property
    def provider(self) -> ProviderSlug:
        """Who offers it."""
        ...

    @property
    def quote_nanos(self) -> Nanos:
        """The most the request can cost there."""
        ...
