"""The refusals to make, change or hand out a key, as whoever manages keys reads them."""

from shared.core.errors import GatewayError
from shared.core.verdicts import Refused


class KeyNotFound(GatewayError):
    """No such key, one of another account, or one that was revoked: which of them is not told."""

    status = 404
    code = "key_not_found"
    advice = "The account has no such key, or it was revoked."

    def __init__(self) -> None:
        super().__init__(
            "This account has no such key, or it was revoked. GET /user/api-keys lists those that there are.",
            param="id",
        )


class KeyExceedsYours(GatewayError):
    """The key may do more than the one who calls."""

    status = 403
    code = "key_exceeds_yours"
    advice = "The key may do more than yours; call with one that may as much, or as someone signed in."
    type = "permission_error"


class KeyNameTaken(GatewayError):
    """The account has a live key of this name."""

    status = 409
    code = "key_name_taken"
    advice = "A live key of the account has this name."


class KeyEnvironmentFixed(GatewayError):
    """A key's secret says its environment, so that it cannot be another."""

    code = "key_environment_fixed"
    advice = "A key's environment never changes; make another key."


class TooManyKeys(GatewayError):
    """The account has all the keys that one may have."""

    status = 409
    code = "too_many_keys"
    advice = "The account has the most keys that one may have; revoke one."


class TooManyOldSecrets(GatewayError):
    """The key was rotated so often that too many of its secrets work."""

    status = 409
    code = "too_many_old_secrets"
    advice = "Too many secrets from before still work for the key; rotate it with `overlap_hours` 0."


class NoSecretToCollect(GatewayError):
    """No secret waits for the key's owner."""

    status = 409
    code = "no_secret_to_collect"
    advice = "No new secret waits for the key; rotate it."

    def __init__(self) -> None:
        super().__init__(
            "No new secret waits for this key: it was collected, or the key has not rotated by itself yet. "
            "POST /user/api-keys/{id}/rotate makes one now."
        )


class SecretCannotBeOpened(GatewayError):
    """The secret that waits was sealed under a secret of ours that this gateway has no more."""

    status = 409
    code = "secret_cannot_be_opened"
    advice = "The secret that waits was sealed under a secret that the gateway has no more; rotate the key."

    def __init__(self) -> None:
        super().__init__(
            "The new secret of this key cannot be read any more: the gateway's own was replaced while it waited. "
            "POST /user/api-keys/{id}/rotate makes one now."
        )


# What a customer reads; the names in braces are the verdict's numbers.
_WORDS: dict[str, tuple[type[GatewayError], str, str | None]] = {
    "key_name_taken": (
        KeyNameTaken,
        "This account has a key of this name. Choose another, or revoke the other key first.",
        "name",
    ),
    "key_environment_fixed": (
        KeyEnvironmentFixed,
        "This key's environment is {environment}, as its secret says. Make another key for another environment.",
        "environment",
    ),
    "too_many_keys": (
        TooManyKeys,
        "This account has {limit} keys, which is the most. Revoke one that is not needed.",
        None,
    ),
    "too_many_old_secrets": (
        TooManyOldSecrets,
        "{limit} secrets from before still work for this key. Rotate it with overlap_hours 0, which ends them, "
        "or wait until one ends.",
        "overlap_hours",
    ),
}


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about a change of keys into the error a customer reads; None for any other."""
    match refused.code:
        case KeyNotFound.code:
            return KeyNotFound()
        case NoSecretToCollect.code:
            return NoSecretToCollect()
        case SecretCannotBeOpened.code:
            return SecretCannotBeOpened()
        case KeyExceedsYours.code:
            return _exceeds(refused)
        case code if code in _WORDS:
            error, words, param = _WORDS[code]
            return error(words.format(**refused.numbers), param=param)
        case _:
            return None


def _exceeds(refused: Refused) -> KeyExceedsYours:
    if (scope := refused.numbers.get("scope")) is not None:
        return KeyExceedsYours(
            f"You call with a key that lacks the scope {scope}, so you cannot give it, or change a key that has it. "
            "Call with a key that has it, or as someone signed in.",
            param="scopes",
        )
    return KeyExceedsYours(
        f"You call with a key of an environment that may spend less than {refused.numbers['environment']}. "
        "Call with a live key, or as someone signed in.",
        param="environment",
    )
