"""A stream that outgrows its hold while the ledger does not answer: it gets what is paid for, and no more."""

import aiohttp
import pytest

from tests.flows.calls import ask, chat
from tests.flows.conftest import WiredGateway
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Exchange, Fault


def is_extension(exchange: Exchange) -> bool:
    return exchange.path.endswith("/extend_hold")


@pytest.mark.parametrize("fault", [Fault(status=500, matches=is_extension), Fault(refuses=True, matches=is_extension)])
async def test_an_extension_that_fails_ends_the_answer_where_its_hold_ends(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, fault: Fault
) -> None:
    customer, model = tenant(), make_model("tokens=9000,prompt_tokens=10", providers=("featherless",))
    wired.forget()
    with wired.supabase.broken(fault):
        answer = await ask(session, wired.url, customer, chat(model, stream=True))
    error = answer.body[-1]["error"]
    assert (error["code"], error["retryable"], answer.is_done) == ("hold_not_extended", False, False)
    (line,) = customer.books.usage_lines()
    assert line.output_tokens >= 4_096
    assert (line.outcome, line.shortfall_nanos) == ("interrupted", 0)
    # Once when it was due and once at the edge of the hold, not with every chunk between.
    assert len(wired.supabase.exchanges("/extend_hold")) <= 4
    assert customer.books.broken_rules() == []


async def test_an_extension_that_fails_once_is_asked_for_again_before_the_answer_would_end(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model("tokens=9000,prompt_tokens=10")
    with wired.supabase.broken(Fault(status=500, matches=is_extension), times=1):
        answer = await ask(session, wired.url, customer, chat(model, stream=True))
    assert answer.is_done
    (line,) = customer.books.usage_lines()
    assert (line.outcome, line.output_tokens) == ("completed", 9_000)
    assert customer.books.broken_rules() == []
