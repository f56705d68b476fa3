"""The refusals of what is bought and paid, as whoever buys reads them."""

from shared.core.errors import GatewayError
from shared.core.verdicts import Refused

CENTS_PER_DOLLAR = 100


class AmountOutOfRange(GatewayError):
    """Less or more credit than one purchase may buy."""

    code = "amount_out_of_range"
    advice = "One purchase buys no less and no more credit than the message says; see `GET /plans`."


class UnknownPlan(GatewayError):
    """There is no such plan."""

    status = 404
    code = "unknown_plan"
    advice = "No plan of this id; see `GET /plans`."


class PlanNotForSale(GatewayError):
    """The plan is not offered, not for this interval, or has no price."""

    code = "plan_not_for_sale"
    advice = "The plan is not offered, or not for this interval; see `GET /plans`."


class AlreadyOnPlan(GatewayError):
    """The account has just this plan, and nothing is about to change."""

    status = 409
    code = "already_on_plan"
    advice = "The account has just this plan; nothing was charged."


class PaymentNotFound(GatewayError):
    """No payment of the caller's has this id."""

    status = 404
    code = "payment_not_found"
    advice = "The account has no such payment."


class PaymentDisputed(GatewayError):
    """A bank takes a payment back: the account may look and pay, and spend nothing."""

    status = 403
    code = "payment_disputed"
    advice = "A payment is disputed with the bank, so nothing can be spent; withdraw the dispute, or pay what is owed."
    type = "permission_error"


# What a customer reads; the names in braces are the verdict's numbers.
_WORDS: dict[str, tuple[type[GatewayError], str, str | None]] = {
    "unknown_plan": (UnknownPlan, "There is no plan '{plan_id}'. GET /plans lists those there are.", "plan_id"),
    "plan_not_for_sale": (
        PlanNotForSale,
        "The plan '{plan_id}' cannot be bought by the {interval}. GET /plans lists what is offered.",
        "plan_id",
    ),
    "already_on_plan": (
        AlreadyOnPlan,
        "This account is on the plan '{plan_id}' already; nothing was charged.",
        "plan_id",
    ),
    "payment_not_found": (PaymentNotFound, "No payment of yours has this id. GET /billing/payments lists them.", None),
    "payment_disputed": (
        PaymentDisputed,
        "A payment of this account is disputed with the bank, so nothing can be spent until that is decided and "
        "what is owed is paid. If the dispute was a mistake, withdraw it at your bank and write to support.",
        None,
    ),
}


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about buying and paying into the error a customer reads; None for any other."""
    if refused.code == AmountOutOfRange.code:
        least, most = _dollars(refused.numbers["min_cents"]), _dollars(refused.numbers["max_cents"])
        return AmountOutOfRange(f"One purchase buys credit for {least} to {most} US dollars.", param="amount")
    if refused.code not in _WORDS:
        return None
    error, words, param = _WORDS[refused.code]
    return error(words.format(**refused.numbers), param=param)


def _dollars(cents: int | str) -> str:
    dollars, rest = divmod(int(cents), CENTS_PER_DOLLAR)
    return f"{dollars:,}.{rest:02d}"
