"""Sync each provider's own list of models, with its prices, into what we offer."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from shared.catalog.books import CatalogBooks, ListWaits, Synced
from shared.catalog.matching import match_listings
from shared.clients.upstream import Upstream, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from shared.core.errors import StoreUnavailable
from shared.core.ids import ProviderSlug
from shared.core.log import log_event
from shared.flows.inference import ConfiguredProvider
from shared.providers.model_lists.listing import ModelList
from shared.providers.model_lists.readers import READERS
from shared.providers.openrouter import OPENROUTER
from shared.providers.raw_json import MalformedAnswer

# Featherless lists some 22,000 models in 9 megabytes.
LIST_LIMIT_BYTES = 32 * 1024 * 1024
LIST_TIMEOUT_S = 30.0


class CatalogMeans(msgspec.Struct, frozen=True):
    """What a sync works on."""

    books: CatalogBooks
    upstream: Upstream
    providers: Mapping[ProviderSlug, ConfiguredProvider]


class CatalogCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all lists, in offers.

    pending: whose price has jumped and waits for someone; skipped: entries that are not offered; lists_unread: of
    providers that did not answer with one; lists_waiting: those that missed or added too much to be believed
    """

    added: int = 0
    changed: int = 0
    retired: int = 0
    returned: int = 0
    pending: int = 0
    unchanged: int = 0
    skipped: int = 0
    lists_unread: int = 0
    lists_waiting: int = 0


class ListUnreadable(Exception):
    """A provider did not answer with a list of its models; why stands in the message."""


async def sync_catalog(means: CatalogMeans) -> CatalogCounts:
    """Sync the lists of all configured providers, each by itself.

    raises  StoreUnavailable, after all others, where a list could not be kept; a retry is safe
    policy  a provider that is down, or answers with no list, changes nothing and is reported
    """
    total: Counter[str] = Counter()
    failure: StoreUnavailable | None = None
    # One after the other: what the first one makes is what the next one's models are looked for among.
    for slug in READERS:
        if slug not in means.providers:
            continue
        try:
            total.update(await _sync_provider(means, slug))
        except ListUnreadable as error:
            log_event("catalog_list_unread", level="warning", provider=slug, reason=str(error))
            total["lists_unread"] += 1
        except StoreUnavailable as error:
            failure = error
    if failure is not None:
        raise failure
    return CatalogCounts(**total)


async def _sync_provider(means: CatalogMeans, slug: ProviderSlug) -> dict[str, int]:
    found = await _fetch(means, slug)
    base = await means.books.read_base(slug)
    matched = match_listings(found.listings, base, is_canonical=slug == OPENROUTER.slug)
    skipped = {str(why): count for why, count in (*found.unusable.items(), *matched.withheld.items())}
    outcome = await means.books.sync(slug, matched.offered)
    match outcome:
        case ListWaits():
            facts = msgspec.structs.asdict(outcome)
            log_event("catalog_list_waits", level="warning", provider=slug, skipped=skipped, **facts)
            return {"lists_waiting": 1}
        case Synced():
            counts = msgspec.structs.asdict(outcome)
            log_event("catalog_synced", provider=slug, skipped=skipped, **counts)
            return {**counts, "skipped": sum(skipped.values())}


async def _fetch(means: CatalogMeans, slug: ProviderSlug) -> ModelList:
    provider = means.providers[slug]
    headers = provider.record.authorise(provider.api_key)
    try:
        status, body = await means.upstream.get(
            provider.models_url, headers, timeout_s=LIST_TIMEOUT_S, limit_bytes=LIST_LIMIT_BYTES
        )
        if status != 200:
            raise ListUnreadable(f"status {status}")
        return READERS[slug](body)
    except (UpstreamUnreachable, UpstreamTimeout, UpstreamCut) as error:
        raise ListUnreadable(type(error).__name__) from error
    except MalformedAnswer as error:
        raise ListUnreadable("malformed") from error
