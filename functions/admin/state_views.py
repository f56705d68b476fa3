"""What admins are shown of switches, of what was given up, of the log and of the books."""

from typing import Any, Literal

import msgspec

from shared.core.ids import format_key_id, format_user_id
from shared.core.money import Nanos, format_dollars
from shared.operations.state_types import Actor, AuditLine, LedgerCheckTold, Letter, LetterKind, Switches


class SwitchesView(msgspec.Struct, kw_only=True):
    """What is stopped.

    loss_today, trial_spend_today: what the house lost today (UTC), and what was spent of trials; is_loss_bound_passed:
    together they come to the bound, and trials pause
    """

    object: Literal["admin.switches"] = "admin.switches"
    stop_trials: bool
    stop_inference: bool
    daily_loss_bound: str | None
    loss_today: str
    trial_spend_today: str
    is_loss_bound_passed: bool
    changed_at: str | None


class LetterView(msgspec.Struct, kw_only=True):
    """Something that was given up after every try."""

    id: str
    object: Literal["admin.dead_letter"] = "admin.dead_letter"
    kind: LetterKind
    subject: str
    reason: str
    tries: int
    payload: dict[str, Any]
    created_at: str
    resolved_at: str | None


class AuditView(msgspec.Struct, kw_only=True):
    """Who did what to whose account; actor_id: whose key it was done with, null with ADMIN_API_KEY."""

    id: str
    object: Literal["admin.event"] = "admin.event"
    event: str
    actor: Actor
    actor_id: str | None
    key_id: str | None
    user_id: str | None
    subject: str | None
    details: dict[str, Any]
    address: str | None
    request_id: str | None
    created_at: str


class BrokenView(msgspec.Struct, kw_only=True):
    """A rule that does not hold, and of what."""

    rule: str
    subject: str


class LedgerCheckView(msgspec.Struct, kw_only=True):
    """GET /admin/ledger/check: the first hundred of what does not balance."""

    object: Literal["admin.ledger_check"] = "admin.ledger_check"
    balances: bool
    broken_count: int
    broken: list[BrokenView]
    checked_at: str


def switches_view(switches: Switches) -> SwitchesView:
    """Show what is stopped."""
    return SwitchesView(
        stop_trials=switches.are_trials_stopped,
        stop_inference=switches.is_inference_stopped,
        daily_loss_bound=_dollars(switches.daily_loss_bound_nanos),
        loss_today=format_dollars(switches.loss_today_nanos),
        trial_spend_today=format_dollars(switches.trial_spend_today_nanos),
        is_loss_bound_passed=switches.is_loss_bound_passed,
        changed_at=switches.changed_at,
    )


def letter_view(letter: Letter) -> LetterView:
    """Show something that was given up."""
    return LetterView(
        id=str(letter.id),
        kind=letter.kind,
        subject=letter.subject,
        reason=letter.reason,
        tries=letter.tries,
        payload=letter.payload,
        created_at=letter.created_at,
        resolved_at=letter.resolved_at,
    )


def audit_view(line: AuditLine) -> AuditView:
    """Show a line of the log."""
    return AuditView(
        id=f"evt_{line.id}",
        event=line.event,
        actor=line.actor,
        actor_id=None if line.actor_account_id is None else format_user_id(line.actor_account_id),
        key_id=None if line.key_id is None else format_key_id(line.key_id),
        user_id=None if line.account_id is None else format_user_id(line.account_id),
        subject=line.subject,
        details=line.details,
        address=line.address,
        request_id=line.request_id,
        created_at=line.created_at,
    )


def ledger_check_view(told: LedgerCheckTold) -> LedgerCheckView:
    """Show whether the books balance."""
    return LedgerCheckView(
        balances=told.broken_count == 0,
        broken_count=told.broken_count,
        broken=[BrokenView(rule=broken.rule, subject=broken.subject) for broken in told.broken],
        checked_at=told.checked_at,
    )


def _dollars(amount: Nanos | None) -> str | None:
    return None if amount is None else format_dollars(amount)
