"""What is sent to change an account."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, ValidationError

from shared.core.errors import InvalidRequest
from shared.core.money import nanos_from_dollars
from shared.keys.rules import MAX_NAME_LENGTH, read_name
from shared.web.errors import invalid_request

CONFIRMATION = "DELETE_ACCOUNT"
MAX_PREFERENCES = 100
# What JSON readers in other languages keep exactly.
LARGEST_INTEGER = 2**53 - 1
_DOLLARS = re.compile(r"\d{1,7}(\.\d{1,9})?", re.ASCII)


def _dollars(text: str) -> str:
    if not _DOLLARS.fullmatch(text):
        raise ValueError('must be an amount in US dollars as a string, such as "5.00"')
    return text


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not have null characters")
    return text


# A person's name may be what a key's may.
Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH), AfterValidator(read_name)]
PreferenceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Preference = (
    Annotated[str, Field(max_length=1000), AfterValidator(_storable)]
    | StrictBool
    | Annotated[StrictInt, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
    # A whole number that is too large for the line above would pass as a fraction.
    | Annotated[StrictFloat, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
    | None
)


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ProfileChanges(_Fields):
    """PATCH /user/profile: what is not named stays; a preference that is null goes."""

    name: Name | None = None
    preferences: Annotated[dict[PreferenceName, Preference], Field(max_length=MAX_PREFERENCES)] = {}
    zero_retention: StrictBool = False


class EmailKinds(_Fields):
    """The e-mails there are."""

    low_balance: StrictBool = True
    trial: StrictBool = True
    payments: StrictBool = True
    keys: StrictBool = True
    usage_report: StrictBool = True
    news: StrictBool = False


class EmailChanges(_Fields):
    """PUT /user/notifications/preferences: what is not named stays."""

    emails: EmailKinds = EmailKinds()
    low_balance_threshold: Annotated[str, AfterValidator(_dollars)] | None = None


class Confirmation(_Fields):
    """DELETE /user/account."""

    confirmation: Literal["DELETE_ACCOUNT"]


def read_profile_changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check the body and return the changes in the database's words.

    raises  InvalidRequest naming the field at fault
    """
    given = _read(ProfileChanges, body).model_dump(exclude_unset=True)
    if "zero_retention" in given:
        given["is_zero_retention"] = given.pop("zero_retention")
    return given


def read_email_changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check the body and return the changes in the database's words.

    raises  InvalidRequest naming the field at fault
    """
    given = _read(EmailChanges, body).model_dump(exclude_unset=True)
    if "low_balance_threshold" in given:
        text = given.pop("low_balance_threshold")
        given["low_balance_threshold_nanos"] = None if text is None else nanos_from_dollars(Decimal(text))
    return given


def confirm_deletion(body: Mapping[str, Any]) -> None:
    """Let pass who says that he means it.

    raises  InvalidRequest
    """
    if body != {"confirmation": CONFIRMATION}:
        raise InvalidRequest(
            f'To delete this account for good, send {{"confirmation": "{CONFIRMATION}"}}.', param="confirmation"
        )


def _read[Fields: BaseModel](fields: type[Fields], body: Mapping[str, Any]) -> Fields:
    try:
        return fields.model_validate(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise invalid_request([dict(problem) for problem in problems]) from None
