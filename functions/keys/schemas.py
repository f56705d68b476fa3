"""What is sent to make, change and rotate a key; every word of it is a rule of shared/keys/rules.py."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

from shared.core.errors import InvalidRequest
from shared.core.ids import KeyEnvironment
from shared.core.scopes import Scope
from shared.keys.rules import (
    MAX_CONCURRENCY,
    MAX_DAYS,
    MAX_LIST_LENGTH,
    MAX_OVERLAP_HOURS,
    MAX_REQUESTS,
    MAX_REQUESTS_PER_MINUTE,
    MAX_ROTATION_DAYS,
    MAX_TOKENS_PER_MINUTE,
    MIN_ROTATION_DAYS,
    read_domain,
    read_model_glob,
    read_name,
    read_network,
    read_spend_amount,
)
from shared.keys.types import SpendPeriod
from shared.web.errors import invalid_request

DEFAULT_SCOPES: tuple[Scope, ...] = ("inference", "models:read")


def _at_least_one(entries: object) -> object:
    if entries == []:
        raise ValueError("must name at least one; null is no restriction")
    return entries


def _without_repeats[Entry](entries: list[Entry]) -> list[Entry]:
    return list(dict.fromkeys(entries))


# pydantic's own words for an empty list say nothing of null.
_OneList = (BeforeValidator(_at_least_one), Field(max_length=MAX_LIST_LENGTH), AfterValidator(_without_repeats))
Name = Annotated[str, AfterValidator(read_name)]
Scopes = Annotated[list[Scope], *_OneList]
Networks = Annotated[list[Annotated[str, AfterValidator(read_network)]], *_OneList]
Domains = Annotated[list[Annotated[str, AfterValidator(read_domain)]], *_OneList]
Globs = Annotated[list[Annotated[str, AfterValidator(read_model_glob)]], *_OneList]
Amount = Annotated[str | StrictInt, AfterValidator(read_spend_amount)]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SpendLimit(_Fields):
    """The most that a key may spend in a period (UTC), in US dollars."""

    amount: Amount
    period: SpendPeriod = "total"


class MinuteLimitsBody(_Fields):
    """Limits of the key's own beside the plan's; the tighter one holds."""

    requests_per_minute: Annotated[int, Field(ge=1, le=MAX_REQUESTS_PER_MINUTE)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=MAX_TOKENS_PER_MINUTE)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=MAX_CONCURRENCY)] | None = None


class KeyChanges(_Fields):
    """PATCH /user/api-keys/{id}: what is absent stays, null lifts a restriction."""

    # By factories, so that the description names no default: what is absent is not looked at.
    name: Name = Field(default_factory=str)
    environment: KeyEnvironment = Field(default_factory=lambda: "live")
    scopes: Scopes = Field(default_factory=list)
    is_active: bool = Field(default_factory=bool)
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    max_requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] | None = None
    spend_limit: SpendLimit | None = None
    ip_allowlist: Networks | None = None
    allowed_domains: Domains | None = None
    models: Globs | None = None
    rotate_every_days: Annotated[int, Field(ge=MIN_ROTATION_DAYS, le=MAX_ROTATION_DAYS)] | None = None
    limits: MinuteLimitsBody | None = None
    is_app_public: bool = Field(default_factory=bool)


class NewKey(_Fields):
    """POST /user/api-keys."""

    name: Name
    environment: KeyEnvironment = "live"
    scopes: Scopes = Field(default=list(DEFAULT_SCOPES))
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    max_requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] | None = None
    spend_limit: SpendLimit | None = None
    ip_allowlist: Networks | None = None
    allowed_domains: Domains | None = None
    models: Globs | None = None
    rotate_every_days: Annotated[int, Field(ge=MIN_ROTATION_DAYS, le=MAX_ROTATION_DAYS)] | None = None
    limits: MinuteLimitsBody | None = None
    is_app_public: bool = False


class RotationBody(_Fields):
    """POST /user/api-keys/{id}/rotate."""

    overlap_hours: Annotated[int, Field(ge=0, le=MAX_OVERLAP_HOURS)] = 0


def read_new_key(body: Mapping[str, Any]) -> tuple[KeyEnvironment, dict[str, Any]]:
    """Return the environment and the settings of a key that is asked for, as the database names them.

    raises  InvalidRequest naming the first field that is not as the contract has it
    """
    fields = _read(NewKey, body)
    return fields.environment, _settings(fields, set(NewKey.model_fields))


def read_key_changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are to change, as the database names them.

    raises  InvalidRequest; also where nothing is to change
    """
    fields = _read(KeyChanges, body)
    if not fields.model_fields_set:
        raise InvalidRequest("Name at least one setting to change.")
    return _settings(fields, fields.model_fields_set)


def read_overlap_hours(body: Mapping[str, Any]) -> int:
    """Return for how long the secrets before the new one are to work.

    raises  InvalidRequest
    """
    return _read(RotationBody, body).overlap_hours


def _read[Body: BaseModel](model: type[Body], body: Mapping[str, Any]) -> Body:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_request([dict(error.errors(include_url=False)[0])]) from None


def _settings(fields: NewKey | KeyChanges, names: set[str]) -> dict[str, Any]:
    """Name the settings as the database does; spend_limit and limits are each several there."""
    settings = {
        {"models": "model_globs"}.get(name, name): getattr(fields, name)
        for name in names
        if name not in ("spend_limit", "limits")
    }
    if "spend_limit" in names:
        limit = fields.spend_limit
        settings["spend_limit_nanos"] = None if limit is None else limit.amount
        if limit is not None:
            settings["spend_limit_period"] = limit.period
    if "limits" in names:
        limits = fields.limits or MinuteLimitsBody()
        named = set(MinuteLimitsBody.model_fields) if fields.limits is None else limits.model_fields_set
        settings |= {name: getattr(limits, name) for name in named}
    return settings
