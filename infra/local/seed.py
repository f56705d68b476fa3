"""The demo account of the local stack: one user with a key and ten dollars, made by the store's own functions."""

import json
from pathlib import Path
from typing import Any

from infra.local.ports import post_json
from infra.local.processes import StackError
from infra.local.stack import LocalStack
from shared.core.ids import KeyEnvironment
from shared.core.money import NANOS_PER_DOLLAR
from shared.keys.fingerprint import fingerprint
from shared.keys.format import generate_secret, mask

DEMO_ACCOUNT = "demo"
DEMO_PLAN = "pay_as_you_go"
DEMO_ENVIRONMENT: KeyEnvironment = "development"
DEMO_CREDIT_NANOS = 10 * NANOS_PER_DOLLAR


def seed_demo_account(stack: LocalStack, key_file: Path) -> str:
    """Make the demo account, its key and its credit where they are missing; return the key's secret.

    raises  StackError
    """
    if not key_file.exists():
        key_file.touch(mode=0o600)
        key_file.write_text(generate_secret(DEMO_ENVIRONMENT))
    secret = key_file.read_text()
    account_id = _call(stack, "create_account", p_external_id=DEMO_ACCOUNT, p_plan_id=DEMO_PLAN)["account_id"]
    _call(
        stack,
        "create_api_key",
        p_account_id=account_id,
        p_name="demo",
        p_environment=DEMO_ENVIRONMENT,
        p_key_hmac=fingerprint(secret, stack.credentials.gateway_secret),
        p_masked=mask(secret),
    )
    _call(
        stack,
        "credit_account",
        p_account_id=account_id,
        p_amount_nanos=DEMO_CREDIT_NANOS,
        p_kind="admin",
        p_idempotency_key="demo:credit",
    )
    return secret


def _call(stack: LocalStack, function: str, **arguments: str | int) -> Any:
    headers = {"apikey": stack.credentials.secret_key, "Content-Profile": "api"}
    body = json.dumps(arguments).encode()
    status, answer = post_json(stack.ports.front, f"/rest/v1/rpc/{function}", body, headers)
    if status != 200:
        raise StackError(f"the store's {function} answered {status}: {answer.decode(errors='replace')}")
    return json.loads(answer)
