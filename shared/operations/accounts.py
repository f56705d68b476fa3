"""Accounts, credit and coupons as admins have them; one call to the database each."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.clients.database import Argument, Database
from shared.core.admin import Admin
from shared.core.ids import AccountId
from shared.core.money import Nanos
from shared.core.verdicts import Refused
from shared.operations.types import (
    AdminKnown,
    CouponsTold,
    CouponTold,
    CreditTold,
    NewUser,
    NewUserKey,
    Provisioned,
    UserFilter,
    UsersTold,
    UserTold,
)

# A receipt as Receipt.to_json says it.
ReceiptJson = Mapping[str, Any]


class NewSecret(msgspec.Struct, frozen=True):
    """What is stored of a new secret."""

    key_hmac: str
    masked: str


class Provision(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to have an account, with which key; is_key_replaced: he has lost the one of this name."""

    user: NewUser
    key: NewUserKey
    secret: NewSecret
    is_key_replaced: bool


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """Credit to be given, or taken where it is negative; key: by which the ledger knows it for ever."""

    amount_nanos: Nanos
    reason: str
    key: str
    expires_in_days: int | None


class AdminAccounts:
    """Everybody's accounts, for admins.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; with a receipt a retry is safe
    source  infra/supabase/migrations/20261106000400_admins.sql to …440_admin_coupons.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, admin: Admin) -> AdminKnown | Refused:
        """Tell whether somebody operates the gateway.

        raises  StoreUnavailable
        """
        answer: type[AdminKnown | Refused] = AdminKnown | Refused  # type: ignore[assignment]
        return await self._database.call("check_admin", {"p_admin": admin.to_json()}, answer)

    async def list(self, admin: Admin, chosen: UserFilter, *, limit: int, before: int | None) -> UsersTold | Refused:
        """Return a page of accounts, newest first.

        raises  StoreUnavailable
        """
        answer: type[UsersTold | Refused] = UsersTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {
            "p_admin": admin.to_json(),
            "p_filter": msgspec.structs.asdict(chosen),
            "p_limit": limit,
            "p_before": before,
        }
        return await self._database.call("list_users", arguments, answer)

    async def read(self, admin: Admin, account_id: AccountId) -> UserTold | Refused:
        """Tell of one account.

        raises  StoreUnavailable
        """
        return await self._user("read_user", admin, account_id, {})

    async def update(
        self, admin: Admin, account_id: AccountId, changes: Mapping[str, Any], receipt: ReceiptJson
    ) -> UserTold | Refused:
        """Change status, role or name of an account.

        raises  StoreUnavailable
        """
        return await self._user("update_user", admin, account_id, {"p_changes": changes, "p_receipt": receipt})

    async def assign_plan(
        self, admin: Admin, account_id: AccountId, plan_id: str, receipt: ReceiptJson
    ) -> UserTold | Refused:
        """Give an account the limits of a plan.

        raises  StoreUnavailable
        """
        return await self._user("assign_plan", admin, account_id, {"p_plan_id": plan_id, "p_receipt": receipt})

    async def provision(self, admin: Admin, asked: Provision, receipt: ReceiptJson) -> Provisioned | Refused:
        """Make the account of an external id with its first key, or find it.

        raises  StoreUnavailable
        """
        answer: type[Provisioned | Refused] = Provisioned | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {
            "p_admin": admin.to_json(),
            "p_user": msgspec.structs.asdict(asked.user),
            "p_key": msgspec.to_builtins(asked.key),
            "p_secret": msgspec.structs.asdict(asked.secret),
            "p_is_key_replaced": asked.is_key_replaced,
            "p_receipt": receipt,
        }
        return await self._database.call("provision_user", arguments, answer)

    async def give_credit(
        self, admin: Admin, account_id: AccountId, credit: Credit, receipt: ReceiptJson
    ) -> CreditTold | Refused:
        """Give an account credit, or take some back.

        raises  StoreUnavailable
        """
        answer: type[CreditTold | Refused] = CreditTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {
            "p_admin": admin.to_json(),
            "p_account_id": account_id,
            "p_amount_nanos": credit.amount_nanos,
            "p_reason": credit.reason,
            "p_idempotency_key": credit.key,
            "p_expires_in_days": credit.expires_in_days,
            "p_receipt": receipt,
        }
        return await self._database.call("give_credit", arguments, answer)

    async def list_coupons(self, admin: Admin, *, limit: int, after: str | None) -> CouponsTold | Refused:
        """Return a page of coupons by their codes.

        raises  StoreUnavailable
        """
        answer: type[CouponsTold | Refused] = CouponsTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {"p_admin": admin.to_json(), "p_limit": limit, "p_after": after}
        return await self._database.call("list_coupons", arguments, answer)

    async def create_coupon(
        self, admin: Admin, coupon: Mapping[str, Any], receipt: ReceiptJson
    ) -> CouponTold | Refused:
        """Make a coupon.

        raises  StoreUnavailable
        """
        return await self._coupon("create_coupon", admin, {"p_coupon": coupon, "p_receipt": receipt})

    async def update_coupon(
        self, admin: Admin, code: str, changes: Mapping[str, Any], receipt: ReceiptJson
    ) -> CouponTold | Refused:
        """Change how often and when a coupon may be redeemed.

        raises  StoreUnavailable
        """
        return await self._coupon("update_coupon", admin, {"p_code": code, "p_changes": changes, "p_receipt": receipt})

    async def _user(
        self, function: str, admin: Admin, account_id: AccountId, arguments: Mapping[str, Any]
    ) -> UserTold | Refused:
        answer: type[UserTold | Refused] = UserTold | Refused  # type: ignore[assignment]
        named: dict[str, Argument] = {"p_admin": admin.to_json(), "p_account_id": account_id, **arguments}
        return await self._database.call(function, named, answer)

    async def _coupon(self, function: str, admin: Admin, arguments: Mapping[str, Any]) -> CouponTold | Refused:
        answer: type[CouponTold | Refused] = CouponTold | Refused  # type: ignore[assignment]
        return await self._database.call(function, {"p_admin": admin.to_json(), **arguments}, answer)
