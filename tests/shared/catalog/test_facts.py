"""Facts are found by name or by pattern, the more exact one first."""

import msgspec
import pytest

from shared.catalog.facts import Facts, ModelFact
from shared.providers.model_lists.listing import Cost

CHEAP, DEAR = Cost(input_tokens=1, output_tokens=1), Cost(input_tokens=2, output_tokens=2)


def test_of_several_names_the_first_that_has_a_price_counts() -> None:
    facts = Facts(price={"class-8b": CHEAP, "author/*": DEAR})
    assert facts.price_of("class-8b", "author/model") == CHEAP
    assert facts.price_of(None, "author/model") == DEAR
    assert facts.price_of("class-70b", "nobody/model") is None


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_patterns_the_longest_counts_and_a_name_before_all(order: int) -> None:
    prices = {"a/*": DEAR, "a/model-*": CHEAP, "a/model-1": Cost(input_tokens=3, output_tokens=3)}
    facts = Facts(price=dict(list(prices.items())[::order]))
    assert facts.price_of("a/other") == DEAR
    assert facts.price_of("a/model-2") == CHEAP
    assert facts.price_of("a/model-1") == prices["a/model-1"]
    assert facts.price_of("A/model-1") is None


def test_what_an_exact_pattern_leaves_open_a_wider_one_says() -> None:
    facts = Facts(
        model={
            "a/*": ModelFact(context_length=10, image_input_tokens=5, is_withheld=True),
            "a/b": ModelFact(context_length=20, is_withheld=False),
        }
    )
    assert facts.about("a/b") == ModelFact(context_length=20, image_input_tokens=5, is_withheld=False)
    assert facts.about("b/b") == ModelFact()


def test_facts_are_read_as_the_store_has_them() -> None:
    facts = msgspec.convert(
        {"policy": {"models": "known"}, "price": {"x": {"input_tokens": 1, "output_tokens": 1}}}, Facts
    )
    assert facts.takes_known_models_alone
    assert facts.price_of("x") == CHEAP
    assert not Facts().takes_known_models_alone
