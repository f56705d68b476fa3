"""What is sent to buy something: an amount of credits, or a plan."""

import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from shared.billing.types import ChosenCheckout
from shared.core.errors import InvalidRequest
from shared.web.errors import invalid_request

CENTS_PER_DOLLAR = 100
# Within these digits the cents fit 32 bits; how much one may buy is the database's to say.
_DOLLARS = re.compile(r"\d{1,7}(\.\d{1,9})?", re.ASCII)
_PLAN_ID = r"^[a-z0-9_-]{1,40}$"


def _amount(amount: object) -> object:
    """Let pass what is a price in whole cents; floats are none, whatever they look like."""
    cents_of(amount)
    return amount


def cents_of(amount: object) -> int:
    """Return a price in US dollars as whole cents: `"25.00"` and 25 are 2500.

    raises  ValueError
    """
    if isinstance(amount, bool) or not isinstance(amount, str | int) or not _DOLLARS.fullmatch(str(amount)):
        raise ValueError('must be an amount in US dollars as a string, such as "25.00"')
    cents = Decimal(amount) * CENTS_PER_DOLLAR
    if cents != int(cents):
        raise ValueError('must be whole cents, such as "25.00"')
    return int(cents)


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CreditsBody(_Fields):
    """POST /billing/checkout for credits: amount is US dollars in whole cents."""

    kind: Literal["credits"]
    amount: Annotated[str | StrictInt, BeforeValidator(_amount)]


class PlanBody(_Fields):
    """POST /billing/checkout for a plan."""

    kind: Literal["plan"]
    plan_id: Annotated[str, Field(pattern=_PLAN_ID)]
    interval: Literal["month", "year"] = "month"


class NoFields(_Fields):
    """POST /billing/portal."""


# What each kind of order is sent as.
CHECKOUT_BODIES: dict[str, type[CreditsBody] | type[PlanBody]] = {"credits": CreditsBody, "plan": PlanBody}


def read_order(body: Mapping[str, Any]) -> ChosenCheckout:
    """Return what somebody wants to buy, under an id of its own.

    raises  InvalidRequest naming the first field that is not as the contract has it
    """
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in CHECKOUT_BODIES:
        raise InvalidRequest(f"kind: one of {', '.join(CHECKOUT_BODIES)}.", param="kind")
    fields = _read(CHECKOUT_BODIES[kind], body)
    if isinstance(fields, PlanBody):
        return ChosenCheckout(uuid.uuid4(), fields.kind, plan_id=fields.plan_id, interval=fields.interval)
    return ChosenCheckout(uuid.uuid4(), fields.kind, amount_cents=cents_of(fields.amount))


def refuse_fields(body: Mapping[str, Any]) -> None:
    """Let pass a body that says nothing.

    raises  InvalidRequest
    """
    _read(NoFields, body)


def _read[Body: BaseModel](model: type[Body], body: Mapping[str, Any]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_request([dict(error.errors(include_url=False, include_input=False)[0])]) from None
