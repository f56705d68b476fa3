"""What is known of a provider's models beside its own list; the files of infra/catalog say it, with source and date."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from shared.providers.model_lists.listing import Cost


class ModelFact(msgspec.Struct, frozen=True, kw_only=True):
    """What fills a list that does not say it; None: not known here either.

    image_input_tokens: the most tokens that one input image can count for. is_withheld: it is not offered, because it
    charges for more than the list says
    """

    context_length: int | None = None
    max_output_tokens: int | None = None
    image_input_tokens: int | None = None
    input_modalities: tuple[str, ...] | None = None
    supported_parameters: tuple[str, ...] | None = None
    is_withheld: bool | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's facts by kind.

    price: by the provider's name of what it sells, or a pattern of such names; alias: our id by the provider's name;
    model: by our id, or a pattern of ids; policy: `models` is `known` where only models are offered that there are
    already, `all` otherwise.
    """

    price: Mapping[str, Cost] = {}
    alias: Mapping[str, str] = {}
    model: Mapping[str, ModelFact] = {}
    policy: Mapping[Literal["models"], Literal["all", "known"]] = {}

    @property
    def takes_known_models_alone(self) -> bool:
        """Whether what the provider lists makes no model that there is not yet."""
        return self.policy.get("models") == "known"

    def price_of(self, *names: str | None) -> Cost | None:
        """Return the price of the first name that has one; of several patterns the longest counts."""
        for name in names:
            for pattern in () if name is None else _matching(self.price, name):
                return self.price[pattern]
        return None

    def about(self, model_id: str) -> ModelFact:
        """Return all that is known of a model, the more exact pattern first."""
        known = ModelFact()
        for pattern in reversed(_matching(self.model, model_id)):
            said = {
                name: value for name, value in msgspec.structs.asdict(self.model[pattern]).items() if value is not None
            }
            known = msgspec.structs.replace(known, **said)
        return known


def _matching(patterns: Mapping[str, object], name: str) -> list[str]:
    """Return what matches a name, itself first, then by length."""
    found = [pattern for pattern in patterns if pattern == name or fnmatchcase(name, pattern)]
    return sorted(found, key=lambda pattern: (pattern != name, -len(pattern), pattern))
