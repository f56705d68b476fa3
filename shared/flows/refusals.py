"""A verdict of the database as the error a customer reads, whichever domain it is of."""

from shared.accounts import refusals as accounts
from shared.billing import refusals as billing
from shared.core.errors import GatewayError
from shared.core.verdicts import Refused
from shared.history import chat_refusals as stored_chats
from shared.history import response_refusals as stored_responses
from shared.keys import change_refusals as key_changes
from shared.keys import refusals as keys
from shared.ledger import refusals as ledger
from shared.notifications import refusals as notifications
from shared.operations import refusals as operations
from shared.trials import refusals as trials

# Each answers None for what is not of its domain.
_DOMAINS = (
    keys.refusal_of,
    key_changes.refusal_of,
    ledger.refusal_of,
    accounts.refusal_of,
    trials.refusal_of,
    billing.refusal_of,
    notifications.refusal_of,
    stored_responses.refusal_of,
    stored_chats.refusal_of,
    operations.refusal_of,
)


def refusal_error(refused: Refused) -> GatewayError:
    """Turn a verdict into the error a customer reads.

    raises  KeyError for a code that no customer should ever see: a fault of ours
    """
    for refusal_of in _DOMAINS:
        if (error := refusal_of(refused)) is not None:
            return error
    raise KeyError(refused.code)
