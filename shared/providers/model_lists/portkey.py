"""Portkey's GET /models: what its catalog can route to, by name alone."""

import msgspec

from shared.providers.model_lists.listing import Listing, ModelList, Unusable, UnusableEntry, read_entries
from shared.providers.model_lists.names import guess_model_id

# source  https://portkey.ai/docs/api-reference/inference-api/models/models, …/docs/product/model-catalog
# A name that begins otherwise is routed by a header, which the gateway does not send.
ROUTED_BY_NAME = "@"


class _Entry(msgspec.Struct):
    id: str


_ENTRY = msgspec.json.Decoder(_Entry)


def read_portkey(data: bytes) -> ModelList:
    """Read the list, which has neither prices nor limits.

    raises  MalformedAnswer
    """
    return read_entries(data, _ENTRY, _read)


def _read(entry: _Entry) -> Listing:
    own_name = entry.id.removeprefix(ROUTED_BY_NAME)
    if own_name == entry.id or "/" not in own_name:
        raise UnusableEntry(Unusable.NOT_A_MODEL)
    return Listing(
        upstream_model=entry.id,
        model_id=guess_model_id(own_name),
        name=own_name.rpartition("/")[2],
        context_length=None,
        max_output_tokens=None,
        input_modalities=None,
        cost=None,
        priced_as=own_name,
    )
