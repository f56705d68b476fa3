"""The refusals of what an owner asks of his account."""

from shared.core.errors import GatewayError
from shared.core.money import Nanos, format_dollars
from shared.core.verdicts import Refused


class PreferencesTooLarge(GatewayError):
    """The preferences, with those that were there, take more room than they may."""

    code = "preferences_too_large"
    advice = "The preferences, with those that are kept, take more than 8 KiB; take some away by null."


class AccountOwes(GatewayError):
    """The account is not deleted before it has repaid what was taken back after it was spent."""

    status = 409
    code = "account_owes"
    advice = "The account owes what was refunded after it was spent; buy credit for as much, then delete it."


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about an account into the error a customer reads; None for any other."""
    if refused.code == AccountOwes.code:
        owed = format_dollars(Nanos(int(refused.numbers["owed_nanos"])))
        return AccountOwes(
            f"The account owes {owed} US dollars, which the next purchase repays. "
            "Buy credit for as much, then delete it; or write to support."
        )
    if refused.code == PreferencesTooLarge.code:
        limit = refused.numbers["limit"]
        return PreferencesTooLarge(
            f"Preferences take {limit} bytes at most as JSON. Take some away by setting them to null.",
            param="preferences",
        )
    return None
