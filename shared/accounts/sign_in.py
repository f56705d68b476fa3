"""How someone whom Privy has signed in comes to his account: the database finds it, or makes it."""

from typing import Any, Literal

import msgspec

from shared.accounts.email import normalise_email
from shared.clients.database import Database
from shared.core.ids import AccountId, PrivyId, RequestId
from shared.core.receipts import Receipt, receipt_json
from shared.core.verdicts import LimitsPolicy, Refused


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs in; email where an identity token vouches for it, referral_code as he gave it."""

    privy_id: PrivyId
    email: str | None
    referral_code: str | None


class FirstKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that a new account begins with; sealed is its secret, for a request that may come again."""

    name: str
    key_hmac: str
    masked: str
    sealed: str | None


class SignInRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request that signs in; receipt: how it is known when it comes again."""

    address: str | None
    request_id: RequestId
    receipt: Receipt | None


class User(msgspec.Struct, frozen=True):
    """An account as its owner sees it when he comes in."""

    id: AccountId
    email: str | None
    name: str | None
    status: Literal["active", "suspended"]
    plan_id: str
    created_at: str


class SignedIn(msgspec.Struct, frozen=True, tag_field="verdict", tag="signed_in"):
    """He is in; is_new_user: the account was made by this request, and so was its first key.

    is_replayed: the request came before; sealed: the first key's secret, for ten minutes after it was made
    referral_code: what he came with first, where it has not been decided on yet
    """

    user: User
    is_new_user: bool
    policy: LimitsPolicy
    is_replayed: bool = False
    sealed: str | None = None
    referral_code: str | None = None


class SignIns:
    """The database's one function for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sign_in(
        self, person: Person, session_hmacs: tuple[str, ...], first_key: FirstKey, request: SignInRequest
    ) -> SignedIn | Refused:
        """Find the account of this Privy id, or make it with the first key; of many at once one makes it.

        raises  StoreUnavailable; a retry is safe: the same first key again answers as the first time
        """
        return await self._database.call(
            "sign_in",
            {
                "p_person": _person_json(person),
                "p_session_hmacs": session_hmacs,
                "p_first_key": {"name": first_key.name, "key_hmac": first_key.key_hmac, "masked": first_key.masked},
                "p_request": {
                    "address": request.address,
                    "request_id": request.request_id,
                    "receipt": receipt_json(request.receipt, sealed=first_key.sealed),
                },
            },
            SignedIn | Refused,  # type: ignore[arg-type]  # a union is a type to msgspec, not yet to mypy
        )


def _person_json(person: Person) -> dict[str, Any]:
    mailbox = None if person.email is None else normalise_email(person.email)
    return {**msgspec.to_builtins(person), "email_normalised": mailbox}
