"""The test mail, and what is said of a request that only the gateway itself has repeated."""

import secrets
from collections.abc import Callable

from infra.local.stack import LocalStack
from tests.functions.auth.client import sign_in
from tests.functions.keys.client import Holder
from tests.harness.gateways import Gateways
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.wire import Fault, Wire


async def test_our_own_second_attempt_is_no_replay_to_whoever_has_asked_once(
    stack: LocalStack, start_gateway: Gateways, open_wire: Callable[[str], Wire], privy: PrivyTokens
) -> None:
    wire, who = open_wire(stack.supabase_url), new_privy_id()
    gateway = start_gateway(SUPABASE_URL=wire.url)
    await sign_in(gateway, identity_token=privy.identity(who, f"ada{secrets.token_hex(6)}@example.com"))
    lost = Fault(drops_answer=True, matches=lambda exchange: "request_test_mail" in exchange.path)
    with wire.broken(lost, times=1):
        answer = await Holder(gateway, privy.access(who)).call("POST", "/user/notifications/test")
    assert len(wire.exchanges("request_test_mail")) == 2
    assert answer.status == 202
    assert "Idempotent-Replayed" not in answer.headers
