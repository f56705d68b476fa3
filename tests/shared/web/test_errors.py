"""What a validation found, told as a refusal that names the field."""

from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ValidationError

from shared.core.errors import InvalidRequest
from shared.web.errors import invalid_request


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


class Body(BaseModel):
    number: Annotated[int, AfterValidator(_even)] = 0
    query: str = ""


def refusal_of(body: dict[str, object]) -> InvalidRequest:
    with pytest.raises(ValidationError) as raised:
        Body.model_validate(body)
    return invalid_request([dict(problem) for problem in raised.value.errors()])


def test_a_rule_of_ours_speaks_for_itself() -> None:
    refusal = refusal_of({"number": 3})
    assert (str(refusal), refusal.param) == ("number: must be even.", "number")


def test_a_field_may_be_called_as_a_place_is() -> None:
    refusal = refusal_of({"query": 3})
    assert (str(refusal), refusal.param) == ("query: Input should be a valid string.", "query")


def test_a_place_is_no_part_of_a_field_s_name() -> None:
    refusal = invalid_request([{"loc": ("query", "limit"), "msg": "too large"}])
    assert (str(refusal), refusal.param) == ("limit: too large.", "limit")
    assert invalid_request([{"loc": ("body",), "msg": "Field required"}]).param is None
