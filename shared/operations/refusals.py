"""The refusals of what operators set and stop, as customers and admins read them."""

from shared.core.errors import GatewayError
from shared.core.verdicts import Refused


class AdminRequired(GatewayError):
    """The route is for whoever operates the gateway."""

    status = 403
    code = "admin_required"
    advice = (
        "For whoever operates the gateway: `ADMIN_API_KEY`, or an admin who is signed in or has a live key with "
        "every scope."
    )
    type = "permission_error"


class InferenceStopped(GatewayError):
    """An operator has stopped all models."""

    status = 503
    code = "inference_stopped"
    advice = "The operator has stopped all models for now; nothing was charged."
    type = "server_error"


class TrialsStopped(GatewayError):
    """No trials are given now."""

    status = 503
    code = "trials_stopped"
    advice = "No trials are given at the moment; try later."
    type = "server_error"


class TrialsPaused(GatewayError):
    """Whoever is on a trial is answered by no model now."""

    status = 503
    code = "trials_paused"
    advice = "Who is on a trial is answered by no model now; buy credits, or try later."
    type = "server_error"


class UserNotFound(GatewayError):
    """There is no such account."""

    status = 404
    code = "user_not_found"
    advice = "There is no such account; see `GET /admin/users`."


class AccountDeleted(GatewayError):
    """The account is deleted, and stays as it is."""

    status = 409
    code = "account_deleted"


class LastAdmin(GatewayError):
    """Nobody else is an admin."""

    status = 409
    code = "last_admin"
    advice = "Nobody else is an admin; make somebody one first."


class KeyDiffers(GatewayError):
    """The account's key of this name may do other things than are asked for."""

    status = 409
    code = "key_differs"
    advice = "The key of this name has another environment or other scopes; name those it has, or another name."


class KeyNotActive(GatewayError):
    """The account's key of this name is refused everywhere, whatever its secret is."""

    status = 409
    code = "key_not_active"
    advice = "The key of this name is switched off or expired; name another, or have its owner change it first."


class ZeroAmount(GatewayError):
    """Nothing would be given or taken."""

    code = "zero_amount"
    advice = "Nothing would be given or taken; say how much."


class CouponExists(GatewayError):
    """There is a coupon of this code."""

    status = 409
    code = "coupon_exists"
    advice = "There is a coupon of this code; choose another."


class CouponNotFound(GatewayError):
    """There is no coupon of this code."""

    status = 404
    code = "coupon_not_found"
    advice = "There is no such coupon; see `GET /admin/coupons`."


class CouponRedeemedMore(GatewayError):
    """The coupon has been redeemed more often than it now should be."""

    status = 409
    code = "coupon_redeemed_more"
    advice = "The coupon was redeemed more often already; to stop it, set `is_active` to false."


class CouponNeverLive(GatewayError):
    """The coupon would end before it begins."""

    code = "coupon_never_live"
    advice = "The coupon would end before it begins; change `live_from` or `expires_at`."


class DeadLetterNotFound(GatewayError):
    """There is no such record."""

    status = 404
    code = "dead_letter_not_found"
    advice = "There is no such record; see `GET /admin/dead-letters`."


class DeadLetterResolved(GatewayError):
    """The record was tried again already."""

    status = 409
    code = "dead_letter_resolved"
    advice = "The record was tried again already; it stands open again if that fails."


class DeadLetterStays(GatewayError):
    """The record holds nothing that could be tried."""

    status = 409
    code = "dead_letter_stays"
    advice = "What the record is about cannot be read any more, or was done meanwhile."


class WindowTooLarge(GatewayError):
    """More was asked in the window than is added up while somebody waits."""

    code = "window_too_large"
    advice = "More requests are in the window than are added up at once; ask for a shorter one."


class OfferNotFound(GatewayError):
    """The provider does not offer the model."""

    status = 404
    code = "offer_not_found"
    advice = "The provider does not offer the model; see `GET /admin/models`."


class OfferHasNoPrice(GatewayError):
    """The offer has no price of its own that could be set."""

    status = 409
    code = "offer_has_no_price"
    advice = "The provider offers images alone of the model; their prices follow its markup."


class PriceNotPending(GatewayError):
    """Another price waits by now, or none."""

    status = 409
    code = "price_not_pending"
    advice = "Another price waits by now, or none; look at `GET /admin/models` again."


class ProviderNotFound(GatewayError):
    """There is no such provider."""

    status = 404
    code = "provider_not_found"
    advice = "There is no such provider; see `GET /admin/providers`."


# The names in braces are the verdict's numbers.
_WORDS: dict[str, tuple[type[GatewayError], str, str | None]] = {
    "admin_required": (
        AdminRequired,
        "This is for whoever operates the gateway. Call with ADMIN_API_KEY, or as an admin who is signed in or uses a "
        "live key that has every scope.",
        None,
    ),
    "inference_stopped": (
        InferenceStopped,
        "The gateway's operator has stopped all models for now. Nothing was charged; try again later.",
        None,
    ),
    "trials_stopped": (TrialsStopped, "No trials are given at the moment. Try again later.", None),
    "trials_paused": (
        TrialsPaused,
        "Trials are paused at the moment. Try again later, or buy credits by POST /billing/checkout.",
        None,
    ),
    "user_not_found": (UserNotFound, "There is no such account. GET /admin/users lists those there are.", "id"),
    "account_deleted": (AccountDeleted, "This account is deleted, and stays as it is.", "id"),
    "last_admin": (
        LastAdmin,
        'This is the only admin. Make somebody else one first: PATCH /admin/users/{{id}} {{"role": "admin"}}.',
        None,
    ),
    "key_differs": (
        KeyDiffers,
        "The account's key '{name}' is of the environment {environment} and has these scopes: {scopes}. Name the same "
        "in `key` to have its secret replaced, or another name to have another key.",
        "key",
    ),
    "key_not_active": (
        KeyNotActive,
        "The account's key '{name}' is {state}: another secret would be refused as well. Name another key in `key` to "
        "have one more, or have the account's owner change this one first, by PATCH /user/api-keys/{{id}}.",
        "key",
    ),
    "zero_amount": (ZeroAmount, "amount: more or less than nothing.", "amount"),
    "coupon_exists": (CouponExists, "There is a coupon '{code}' already. Choose another code.", "code"),
    "coupon_not_found": (CouponNotFound, "There is no such coupon. GET /admin/coupons lists those there are.", "code"),
    "coupon_redeemed_more": (
        CouponRedeemedMore,
        "This coupon has been redeemed {redemptions} times already. To stop it, set is_active to false.",
        "max_redemptions",
    ),
    "coupon_never_live": (CouponNeverLive, "expires_at: a moment after live_from.", "expires_at"),
    "dead_letter_not_found": (
        DeadLetterNotFound,
        "There is no such record. GET /admin/dead-letters lists those there are.",
        "id",
    ),
    "dead_letter_resolved": (
        DeadLetterResolved,
        "This record was tried again already. It stands open again if that fails.",
        "id",
    ),
    "dead_letter_stays": (
        DeadLetterStays,
        "What this record is about cannot be read any more, or was done meanwhile; nothing is left to try.",
        "id",
    ),
    "window_too_large": (
        WindowTooLarge,
        "More than {limit} requests were settled in this window. Ask for a shorter one, one after the other.",
        "from",
    ),
    "offer_not_found": (
        OfferNotFound,
        "{provider} does not offer the model {model}. GET /admin/models lists every offer.",
        "offer.provider",
    ),
    "offer_has_no_price": (
        OfferHasNoPrice,
        "{provider} offers images alone of the model {model}: their prices follow its markup.",
        "offer.price",
    ),
    "price_not_pending": (
        PriceNotPending,
        "No price of this id waits to be confirmed for {model} at {provider}. Look at GET /admin/models again.",
        "offer.confirm_price_id",
    ),
    "provider_not_found": (
        ProviderNotFound,
        "There is no provider '{provider}'. GET /admin/providers lists those there are.",
        "slug",
    ),
}


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about what operators set and stop into the error that is read of it; None for any other."""
    if refused.code not in _WORDS:
        return None
    error, words, param = _WORDS[refused.code]
    return error(words.format(**refused.numbers), param=param)
