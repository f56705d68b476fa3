"""Secrets are rotated as docs/operations.md says, on gateways that are asked at every step."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from secrets import token_hex

import aiohttp
import pytest

from infra.local.environment import STRIPE_WEBHOOK_SECRET, gateway_environment
from infra.local.stack import LocalStack
from infra.local.stripe_double.signatures import HEADER, sign
from tests.docs.pages import ROOT, commands, rows, section
from tests.functions.chat.client import TIMEOUT, ask
from tests.functions.keys.client import owner_of
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenants

STEP = re.compile(r"^\| (\d) \| `(\S+)` \|$", re.MULTILINE)
JOB = "/internal/jobs/settlement_sweep"


def counted(stack: LocalStack, secret_keys: str) -> tuple[int, str]:
    """Run the page's command with the gateway's variables."""
    (command,) = commands("operations.md", "Rotating secrets")
    assert command.strip() == ".venv/bin/python -m infra.secrets"
    environment = {**os.environ, **gateway_environment(stack, {}), "SECRET_KEY": secret_keys}
    done = subprocess.run(
        (sys.executable, "-m", "infra.secrets"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


async def post(gateway: RunningGateway, path: str, headers: dict[str, str], body: bytes = b"") -> int:
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(gateway.url + path, headers=headers, data=body) as answer,
    ):
        return answer.status


@pytest.fixture
def start_gateways(untouched_stack: LocalStack) -> Iterator[Gateways]:
    gateways = Gateways(untouched_stack)
    try:
        yield gateways
    finally:
        gateways.stop_all()


async def test_secret_key_is_replaced_in_the_steps_of_the_page_without_a_refusal(
    untouched_stack: LocalStack, start_gateways: Gateways
) -> None:
    stack = untouched_stack
    tenant, make_model = Tenants(stack.database_url, stack.credentials.gateway_secret), Models(stack.database_url)
    old, new = stack.credentials.gateway_secret, token_hex(32)
    steps = STEP.findall(section("operations.md", "Rotating secrets"))
    assert [number for number, _ in steps] == ["1", "2", "3"]
    lists = [listed.replace("$OLD", old).replace("$NEW", new) for _, listed in steps]
    customer, idle, model = tenant(), tenant(), make_model()
    before, first, second, third = (start_gateways(SECRET_KEY=listed) for listed in (old, *lists))
    owner_of(before, customer)

    # While a step is rolled out, instances of it and of the one before answer side by side.
    for gateways in ((before, first), (first, second)):
        for gateway in (*gateways, *gateways):
            assert (await ask(gateway, customer, model)).status == 200
    status, told = counted(stack, lists[1])
    assert status == 0
    assert "2. " in told and "stays: keys: " in told, "the idle key is still under the old one"

    assert (await ask(second, idle, model)).status == 200
    for gateway in (second, third, second, third):
        for each in (customer, idle):
            assert (await ask(gateway, each, model)).status == 200
    # One that nobody uses stands under the old secret still, and is told of before it is too late.
    forgotten = tenant()
    status, told = counted(stack, lists[2])
    assert (status, "NOT IN THE LIST, put it back" in told) == (1, True)
    assert (await ask(third, forgotten, model)).status == 401


async def test_a_new_cron_secret_counts_with_the_next_start(start_gateway: Gateways) -> None:
    old, new = start_gateway(CRON_SECRET="o" * 24), start_gateway(CRON_SECRET="n" * 24)
    for gateway, secret, status in ((old, "o", 200), (new, "n", 200), (new, "o", 401)):
        assert await post(gateway, JOB, {"Authorization": f"Bearer {secret * 24}"}) == status


async def test_both_of_stripe_s_signing_secrets_are_believed_while_one_is_rolled(start_gateway: Gateways) -> None:
    newer = "whsec_" + "n" * 32
    gateway = start_gateway(STRIPE_WEBHOOK_SECRET=f"{newer},{STRIPE_WEBHOOK_SECRET}")
    event = {"id": "evt_rolled", "type": "ping", "created": 0, "data": {"object": {"object": "thing", "id": "x"}}}
    body = json.dumps(event).encode()
    for secret, status in ((newer, 200), (STRIPE_WEBHOOK_SECRET, 200), ("whsec_" + "x" * 32, 400)):
        headers = {HEADER: sign(body, secret, int(time.time()))}
        assert await post(gateway, "/webhooks/stripe", headers, body) == status


def test_every_secret_of_the_example_has_a_line_on_the_page() -> None:
    said = section("operations.md", "Rotating secrets")
    names = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    secret = [name for name in names if re.search(r"SECRET|TOKEN|_KEY$", name) and "VERIFICATION" not in name]
    providers = {name for name in secret if f"{name.removesuffix('_API_KEY')}_BASE_URL" in names}
    assert len(rows("operations.md", "Rotating secrets")) > 5 and len(secret) > 5
    assert [name for name in secret if name not in providers and name not in said] == []
