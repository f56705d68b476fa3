"""Why no test mail is sent to an owner who asks for one."""

from shared.core.errors import GatewayError
from shared.core.verdicts import Refused


class NoEmailAddress(GatewayError):
    """No identity token has vouched for an address of the owner's yet."""

    status = 409
    code = "no_email_address"
    advice = "The account has no e-mail address; sign in with an identity token that has one."


class EmailAddressBounced(GatewayError):
    """Mail to the owner's address came back, or he has reported it as unwanted."""

    status = 409
    code = "email_address_bounced"
    advice = "Mail to the account's address comes back or was reported as unwanted; sign in with another."


class TestEmailTooSoon(GatewayError):
    """There was one within the last minute."""

    __test__ = False
    status = 429
    code = "test_email_too_soon"
    advice = "A test e-mail is sent once a minute; wait for `Retry-After`."
    type = "rate_limit_error"
    is_retryable = True


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about an e-mail into the error a customer reads; None for any other."""
    if refused.code == NoEmailAddress.code:
        return NoEmailAddress(
            "This account has no e-mail address. Sign in with an identity token that has one: POST /auth/privy."
        )
    if refused.code == EmailAddressBounced.code:
        return EmailAddressBounced(
            "Mail to this account's address comes back or was reported as unwanted, so none is sent there. "
            "Sign in with another address, or write to support."
        )
    if refused.code == TestEmailTooSoon.code:
        wait_s = int(refused.numbers["retry_after_s"])
        return TestEmailTooSoon(
            f"A test e-mail is sent once a minute. Try again in {wait_s} s.", headers={"Retry-After": str(wait_s)}
        )
    return None
