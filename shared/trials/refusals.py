"""The refusals of what is given once, as whoever asks for it reads them: each names what to do next."""

from shared.core.errors import GatewayError
from shared.core.verdicts import Refused


class PersonUnknown(GatewayError):
    """The account was made without a sign-in, so that nobody knows whose it is."""

    status = 403
    code = "person_unknown"
    advice = "The account was made without a sign-in; sign in, and ask for it there."
    type = "permission_error"


class VerifiedEmailRequired(GatewayError):
    """No identity token has vouched for an address of the owner's yet."""

    status = 403
    code = "verified_email_required"
    advice = "Sign in with an identity token that has a verified e-mail address."
    type = "permission_error"


class TrialAlreadyUsed(GatewayError):
    """The owner has had his trial, in this account or another."""

    status = 409
    code = "trial_already_used"
    advice = "A person has one trial, whichever account it was in; buy credits or a plan."


class UnknownCoupon(GatewayError):
    """There is no such coupon, or not now."""

    status = 404
    code = "unknown_coupon"
    advice = "There is no such coupon, or not now; check how it is written."


class CouponExpired(GatewayError):
    """The coupon could be redeemed until some time ago."""

    status = 409
    code = "coupon_expired"


class CouponUsedUp(GatewayError):
    """The coupon was redeemed as often as it may be."""

    status = 409
    code = "coupon_used_up"


class CouponAlreadyRedeemed(GatewayError):
    """The owner has redeemed this coupon, in this account or another."""

    status = 409
    code = "coupon_already_redeemed"
    advice = "A person redeems a coupon once, whichever account it was in."


class UnknownReferralCode(GatewayError):
    """The code is nobody's."""

    status = 404
    code = "unknown_referral_code"
    advice = "The code is nobody's; check how it is written."


class OwnReferralCode(GatewayError):
    """The code is the owner's own."""

    status = 409
    code = "own_referral_code"
    advice = "The code is your own; give it to somebody else."


class ReferralAlreadyApplied(GatewayError):
    """The owner has come by a code already, with this account or another."""

    status = 409
    code = "referral_already_applied"
    advice = "A person comes by one referral code, once."


class ReferralMutual(GatewayError):
    """The code is that of somebody whom the owner has brought himself."""

    status = 409
    code = "referral_mutual"
    advice = "You have brought the code's owner yourself; he cannot bring you."


class ReferralTooLate(GatewayError):
    """The owner has bought something before he named who brought him."""

    status = 409
    code = "referral_too_late"
    advice = "A referral code counts before the first purchase."


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about a trial or a code into the error a customer reads; None for any other."""
    return _of_trial(refused.code) or _of_coupon(refused.code) or _of_referral(refused.code)


def _of_trial(code: str) -> GatewayError | None:
    match code:
        case PersonUnknown.code:
            return PersonUnknown(
                "This is given to a person, and this account was made without a sign-in. Sign in by POST /auth/privy, "
                "and ask for it there."
            )
        case VerifiedEmailRequired.code:
            return VerifiedEmailRequired(
                "This is given to a verified e-mail address. Link one at your sign-in, then send the identity token: "
                'POST /auth/privy {"identity_token": "..."}, and ask again.'
            )
        case TrialAlreadyUsed.code:
            return TrialAlreadyUsed("You have had your trial. Buy credits or a plan by POST /billing/checkout.")
        case _:
            return None


def _of_coupon(code: str) -> GatewayError | None:
    match code:
        case UnknownCoupon.code:
            return UnknownCoupon("There is no such coupon. Check how it is written.", param="code")
        case CouponExpired.code:
            return CouponExpired("This coupon has expired.", param="code")
        case CouponUsedUp.code:
            return CouponUsedUp("This coupon was redeemed as often as it may be.", param="code")
        case CouponAlreadyRedeemed.code:
            return CouponAlreadyRedeemed(
                "You have redeemed this coupon. GET /coupons/history tells what this account got.", param="code"
            )
        case _:
            return None


def _of_referral(code: str) -> GatewayError | None:
    match code:
        case UnknownReferralCode.code:
            return UnknownReferralCode("This is nobody's referral code. Check how it is written.", param="code")
        case OwnReferralCode.code:
            return OwnReferralCode("This is your own referral code: give it to somebody else.", param="code")
        case ReferralAlreadyApplied.code:
            return ReferralAlreadyApplied("You have come by a referral code already; it counts once.", param="code")
        case ReferralMutual.code:
            return ReferralMutual(
                "You have brought the owner of this code yourself; he cannot bring you.", param="code"
            )
        case ReferralTooLate.code:
            return ReferralTooLate(
                "A referral code counts before the first purchase, and you have made one.", param="code"
            )
        case _:
            return None
