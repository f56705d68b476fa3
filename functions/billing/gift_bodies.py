"""What is sent to be given something: a code."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.web.errors import invalid_request

MAX_CODE_LENGTH = 64


def _storable(code: str) -> str:
    if "\x00" in code:
        raise ValueError("must not have null characters")
    return code


class CodeBody(BaseModel):
    """POST /coupons/redeem and POST /referral/apply: a code, however its letters are written."""

    model_config = ConfigDict(extra="forbid", strict=True)

    # What no code can look like is told as one that is nobody's.
    code: Annotated[
        str,
        StringConstraints(strip_whitespace=True, to_lower=True),
        Field(min_length=1, max_length=MAX_CODE_LENGTH),
        AfterValidator(_storable),
    ]


def read_code(body: Mapping[str, Any]) -> str:
    """Return the code in lower case.

    raises  InvalidRequest naming the field at fault
    """
    try:
        return CodeBody.model_validate(body).code
    except ValidationError as error:
        raise invalid_request([dict(error.errors(include_url=False, include_input=False)[0])]) from None
