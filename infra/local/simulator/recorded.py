"""What is recorded of the real providers' lists; lists/README.md says where from."""

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

from infra.local.simulator.offer import PARAMETERS, Offer

LISTS_FOLDER = Path(__file__).parent / "lists"
MODALITIES = {"t": "text", "i": "image", "a": "audio", "f": "file", "v": "video", "e": "embeddings"}
# What a token costs, per million, where the list has no price.
UNLISTED_USD = "0.1"
# Where a list is silent, as Portkey's is of everything but names, these are what the simulated model has.
SILENT = {"context_length": "1000000", "max_output_tokens": "100000", "inputs": "t", "outputs": "t"}


def recorded_offers(provider: str) -> Iterator[Offer]:
    """Yield the models that the provider's list had."""
    with (LISTS_FOLDER / f"{provider}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield _offer({**SILENT, **row})


def _offer(row: Mapping[str, str]) -> Offer:
    input_usd, output_usd = row["input_usd"] or UNLISTED_USD, row["output_usd"] or UNLISTED_USD
    return Offer(
        model=row["id"],
        name=row.get("name", row["id"]),
        input_usd=Decimal(input_usd),
        output_usd=Decimal(output_usd),
        cached_usd=Decimal(row.get("cached_usd", input_usd)),
        context_length=int(row["context_length"]),
        max_output_tokens=int(row["max_output_tokens"]) if row["max_output_tokens"] else None,
        input_modalities=tuple(MODALITIES[letter] for letter in row["inputs"]),
        output_modalities=tuple(MODALITIES[letter] for letter in row["outputs"]),
        parameters=_parameters(row),
        model_class=row.get("model_class"),
        has_listed_price=bool(row["input_usd"]),
    )


def _parameters(row: Mapping[str, str]) -> tuple[str, ...]:
    if "t" not in row["outputs"] or row.get("has_tools") == "":
        return ()
    return (*PARAMETERS, "reasoning") if row.get("has_reasoning") else PARAMETERS
