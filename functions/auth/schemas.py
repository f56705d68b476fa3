"""What is sent to sign in, and what is answered."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.accounts.sign_in import User
from shared.clients.privy import MAX_TOKEN_LENGTH
from shared.core.errors import InvalidRequest
from shared.core.ids import format_user_id
from shared.flows.sign_in import Welcome
from shared.web.errors import invalid_request
from shared.web.openapi import OnDemand, answer_of, inline_schema, once

Token = Annotated[str, Field(min_length=1, max_length=MAX_TOKEN_LENGTH)]


class SignInBody(BaseModel):
    """POST /auth/privy."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: Token | None = None
    identity_token: Token | None = None
    referral_code: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")] | None = None


class UserView(msgspec.Struct, kw_only=True):
    """Whoever has signed in; email is null until an identity token has told one."""

    id: str
    email: str | None
    name: str | None
    status: str
    plan: str
    created_at: str


class SignInView(msgspec.Struct, kw_only=True):
    """POST /auth/privy: api_key is the whole secret of a new user's first key, and else null."""

    user: UserView
    is_new_user: bool
    api_key: str | None


SIGN_IN_OPENAPI = OnDemand(
    lambda: once(
        {
            "requestBody": {"required": True, "content": {"application/json": {"schema": inline_schema(SignInBody)}}},
            **answer_of(SignInView),
        }
    )
)


def read_sign_in(body: Mapping[str, Any]) -> SignInBody:
    """Check the body.

    raises  InvalidRequest naming the field at fault
    """
    try:
        fields = SignInBody.model_validate(body)
    except ValidationError as error:
        # Without its input, which may be a token.
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise invalid_request([dict(problem) for problem in problems]) from None
    if (fields.token is None) == (fields.identity_token is None):
        raise InvalidRequest(
            "Send either `token`, a Privy access token, or `identity_token`, a Privy identity token.", param="token"
        )
    return fields


def sign_in_view(welcome: Welcome) -> SignInView:
    """Show who is in."""
    return SignInView(user=_user_view(welcome.user), is_new_user=welcome.is_new_user, api_key=welcome.api_key)


def _user_view(user: User) -> UserView:
    return UserView(
        id=format_user_id(user.id),
        email=user.email,
        name=user.name,
        status=user.status,
        plan=user.plan_id,
        created_at=user.created_at,
    )
