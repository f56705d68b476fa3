"""What admins send about accounts, credit, plans and coupons."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError

from shared.core.errors import InvalidRequest
from shared.core.ids import KeyEnvironment
from shared.core.money import Nanos, nanos_from_dollars
from shared.core.scopes import USER_SCOPES, Scope
from shared.flows.provision_user import ProvisionRequest
from shared.keys.rules import MAX_NAME_LENGTH, read_name
from shared.operations.refusals import CouponNotFound
from shared.operations.types import NewUser, NewUserKey, Role, SettableStatus
from shared.web.errors import invalid_request

MAX_EXTERNAL_ID_LENGTH = 200
MAX_REASON_LENGTH = 500
# The books count in 64 bits; nobody means to give more than this at once.
MAX_CREDIT_DOLLARS = 1_000_000
MAX_COUPON_DOLLARS = 10_000
MAX_REDEMPTIONS = 1_000_000_000
MAX_DAYS = 3650
DEFAULT_PLAN = "free"
_SIGNED_DOLLARS = re.compile(r"-?\d{1,7}(\.\d{1,9})?", re.ASCII)
_DOLLARS = re.compile(r"\d{1,7}(\.\d{1,9})?", re.ASCII)
_EMAIL = re.compile(r"[^\s<>@,;\"]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_CODE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{2,39}$", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def _external_id(text: str) -> str:
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise ValueError("must be characters that can be seen, without spaces at its ends")
    return text


def _email(text: str) -> str:
    if not text.isprintable() or not _EMAIL.fullmatch(text):
        raise ValueError("must be an e-mail address alone")
    return text


def _reason(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must say why, in characters that can be seen")
    return text.strip()


def _signed_amount(text: str) -> str:
    if not _SIGNED_DOLLARS.fullmatch(text) or not 0 < abs(Decimal(text)) <= MAX_CREDIT_DOLLARS:
        raise ValueError(
            f'must be US dollars as a decimal string such as "25.00" or "-5.50", not 0 and up to {MAX_CREDIT_DOLLARS}'
        )
    return text


def _coupon_amount(text: str) -> str:
    if not _DOLLARS.fullmatch(text) or not 0 < Decimal(text) <= MAX_COUPON_DOLLARS:
        raise ValueError(
            f'must be US dollars as a decimal string such as "5.00", above 0 and up to {MAX_COUPON_DOLLARS}'
        )
    return text


def _moment(text: str) -> str:
    if _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC).isoformat()
        except (ValueError, OverflowError):
            pass
    raise ValueError("must be a moment with its time zone, such as 2026-11-30T08:00:00Z")


Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH), AfterValidator(read_name)]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
PlanId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Days = Annotated[int, Field(ge=1, le=MAX_DAYS)]
Redemptions = Annotated[int, Field(ge=1, le=MAX_REDEMPTIONS)]
Code = Annotated[str, Field(pattern=_CODE.pattern)]


class Fields(BaseModel):
    """What is not named here is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewKeyBody(Fields):
    """The key that an account is made with; it may do all that a person may unless told."""

    name: Name = "first key"
    environment: KeyEnvironment = "live"
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(USER_SCOPES))] = list(USER_SCOPES)


class NewUserBody(Fields):
    """POST /admin/users; replace_key: the account's key, as `key` names it, is lost and gets another secret."""

    external_id: Annotated[str, Field(max_length=MAX_EXTERNAL_ID_LENGTH), AfterValidator(_external_id)]
    email: Annotated[str, Field(max_length=254), AfterValidator(_email)] | None = None
    name: Name | None = None
    plan_id: PlanId = DEFAULT_PLAN
    key: NewKeyBody = NewKeyBody()
    replace_key: StrictBool = False


class UserChanges(Fields):
    """PATCH /admin/users/{id}: what is absent stays; a name that is null goes."""

    status: SettableStatus = "active"
    role: Role = "user"
    name: Name | None = None


class CreditBody(Fields):
    """POST /admin/users/{id}/credits: US dollars, taken back where they are negative."""

    amount: Annotated[str, AfterValidator(_signed_amount)]
    reason: Annotated[str, Field(max_length=MAX_REASON_LENGTH), AfterValidator(_reason)]
    expires_in_days: Days | None = None


class PlanBody(Fields):
    """POST /admin/users/{id}/plan."""

    plan_id: PlanId


class AddCreditsBody(CreditBody):
    """POST /admin/add_credits."""

    user_id: str


class AssignPlanBody(PlanBody):
    """POST /admin/assign-plan."""

    user_id: str


class NewCouponBody(Fields):
    """POST /admin/coupons; credit_days: for how long its credit lasts, for ever where it is null."""

    code: Code
    amount: Annotated[str, AfterValidator(_coupon_amount)]
    max_redemptions: Redemptions
    live_from: Moment | None = None
    expires_at: Moment | None = None
    credit_days: Days | None = None


class CouponChanges(Fields):
    """PATCH /admin/coupons/{code}: what is absent stays; null takes a moment away."""

    max_redemptions: Redemptions = 1
    live_from: Moment | None = None
    expires_at: Moment | None = None
    is_active: StrictBool = True


def read_fields[Body: BaseModel](model: type[Body], body: Mapping[str, Any]) -> Body:
    """Check a body.

    raises  InvalidRequest naming the first field that is not as the contract has it
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise invalid_request([dict(problems[0])]) from None


def read_changes[Body: BaseModel](model: type[Body], body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a body and return what it names.

    raises  InvalidRequest; also where nothing is to change
    """
    given = read_fields(model, body).model_dump(exclude_unset=True)
    if not given:
        raise InvalidRequest("Name at least one thing to change.")
    return given


def read_new_user(body: Mapping[str, Any]) -> ProvisionRequest:
    """Return who is to have an account, and its key.

    raises  InvalidRequest
    """
    fields = read_fields(NewUserBody, body)
    return ProvisionRequest(
        user=NewUser(external_id=fields.external_id, email=fields.email, name=fields.name, plan_id=fields.plan_id),
        key=NewUserKey(
            name=fields.key.name,
            environment=fields.key.environment,
            scopes=tuple(dict.fromkeys(fields.key.scopes)),
        ),
        is_key_replaced=fields.replace_key,
    )


def read_new_coupon(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a coupon as the database names it.

    raises  InvalidRequest; also for one that would end before it begins
    """
    fields = read_fields(NewCouponBody, body)
    if fields.live_from is not None and fields.expires_at is not None and fields.expires_at <= fields.live_from:
        raise InvalidRequest("expires_at: a moment after live_from.", param="expires_at")
    given = fields.model_dump()
    given["amount_nanos"] = read_dollars(given.pop("amount"))
    return given


def read_coupon_code(text: str) -> str:
    """Read the code of a coupon that a path names.

    raises  CouponNotFound for what can be none
    """
    if not _CODE.fullmatch(text):
        raise CouponNotFound("There is no such coupon. GET /admin/coupons lists those there are.", param="code")
    return text


def read_dollars(text: str) -> Nanos:
    """Return a checked amount in nano-dollars; with nine decimals at most there is nothing to round."""
    return nanos_from_dollars(Decimal(text))
