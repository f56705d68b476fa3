"""How a request for something that is given once comes to the flow that gives it."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from functions.billing.resources import resources_of
from shared.core.caller import Caller
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.flows.give_once import Gift, GiftDesk, GiftRequest, give_once
from shared.trials.types import KnownPerson, PersonChanged
from shared.web.context import context_of
from shared.web.receipts import read_receipt


async def give[Given: Gift](
    request: Request,
    caller: Caller,
    ask: Callable[[Caller, KnownPerson, Receipt], Awaitable[Given | PersonChanged | Refused]],
) -> Given:
    """Give a caller who has entered, once in his life, what he asks one of the stores for.

    raises  as give_once; InvalidRequest for an Idempotency-Key that cannot be one
    """
    resources = resources_of(request)
    secret_keys = resources.settings.secret_keys

    async def ask_now(person: KnownPerson, receipt: Receipt) -> Given | PersonChanged | Refused:
        return await ask(caller, person, receipt)

    asked = GiftRequest(
        caller=caller,
        receipt=await read_receipt(request, secret_keys),
        answer_headers=context_of(request.scope).answer_headers,
    )
    return await give_once(GiftDesk(resources.desk, secret_keys), asked, ask_now)
