"""`make dev`: the whole gateway on this machine until Ctrl-C."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from infra.catalog.publish import publish_facts
from infra.local.environment import (
    STRIPE_WEBHOOK_SECRET,
    developer_environment,
    gateway_environment,
    write_environment,
)
from infra.local.gateway_service import gateway_service
from infra.local.ports import LOOPBACK, is_free
from infra.local.processes import StackError
from infra.local.scheduler import scheduler_service
from infra.local.seed import seed_demo_account
from infra.local.stack import LocalStack
from infra.local.stripe_double.service import tell_events

DEFAULT_PORT = "8000"
DEMO_MODEL = "openai/gpt-5-mini"
WATCH_EVERY_S = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Someone asked us to stop: Ctrl-C, a closed terminal, `kill`."""


def run_dev(data_folder: Path) -> int:
    """Start everything, watch it, stop everything; return the exit status."""
    for number in STOP_SIGNALS:
        signal.signal(number, _request_stop)
    try:
        port = _requested_port()
        stack = LocalStack(data_folder / "dev", keeps_data=True, step=_step)
    except StackError as error:
        return _fail(error)
    try:
        api_key = _start(stack, port, data_folder)
        _greet(stack, port, api_key)
        _watch(stack)
    except StackError as error:
        return _fail(error)
    except StopRequested:
        print("\nstopping", flush=True)
        return 0
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        is_ours = stack.has_folder
        stack.stop()
        if is_ours:
            (data_folder / "dev.env").unlink(missing_ok=True)
    return 0


def _start(stack: LocalStack, port: int, data_folder: Path) -> str:
    began_s = time.monotonic()
    stack.start()
    with _step("catalog facts"):
        publish_facts(stack.database_url)
    with _step("demo account"):
        api_key = seed_demo_account(stack, data_folder / "dev" / "demo_key")
    url = f"http://{LOOPBACK}:{port}"
    with _step("gateway"):
        environment = {**os.environ, **gateway_environment(stack, os.environ, gateway_url=url)}
        stack.start_service(gateway_service(port, environment, has_log=False))
        tell_events(stack.ports.stripe, url=f"{url}/webhooks/stripe", secret=STRIPE_WEBHOOK_SECRET)
        stack.start_service(scheduler_service(environment))
    variables = developer_environment(stack, url, api_key)
    write_environment(data_folder / "dev.env", variables)
    print(f"ready in {time.monotonic() - began_s:.1f} s", flush=True)
    return api_key


def _greet(stack: LocalStack, port: int, api_key: str) -> None:
    url = f"http://{LOOPBACK}:{port}"
    body = f'{{"model": "{DEMO_MODEL}", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'
    print(
        f"\nThe gateway answers at {url}; its variables are in .local/dev.env,"
        f" the logs in .local/dev/logs. Ctrl-C stops everything. Try:\n\n"
        f"curl -N {url}/v1/chat/completions -H 'Authorization: Bearer {api_key}'"
        f" -H 'Content-Type: application/json' -d '{body}'\n",
        flush=True,
    )
    # Who has an account at Resend sends by it.
    if not os.environ.get("RESEND_API_KEY"):
        print(f"E-mails are caught, and shown at {stack.mail_url}\n", flush=True)
    # Who has an app at Privy signs in there.
    if not os.environ.get("PRIVY_APP_ID"):
        print(f"Sign in as someone new, by a token of the local Privy issuer:\n\n{_sign_in(stack, url)}\n", flush=True)


def _sign_in(stack: LocalStack, url: str) -> str:
    token = f"$(curl -s '{stack.privy_url}/token?user=ada&kind=identity&email=ada@example.com')"
    body = f'"{{\\"identity_token\\": \\"{token}\\"}}"'
    return f"curl {url}/auth/privy -H 'Content-Type: application/json' -d {body}"


def _watch(stack: LocalStack) -> None:
    """Wait until a program ends though nobody stopped it.

    raises  StackError naming it
    """
    while (name := stack.processes.dead()) is None:
        time.sleep(WATCH_EVERY_S)
    raise StackError(stack.processes.describe_end(name))


def _requested_port() -> int:
    text = os.environ.get("PORT") or DEFAULT_PORT
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"PORT must be a number from 1 to 65535, not {text!r}")
    if not is_free(int(text)):
        raise StackError(f"port {text} is taken; stop what uses it or choose another: PORT=8001 make dev")
    return int(text)


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    began_s = time.monotonic()
    print(f"{name} … ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - began_s:.1f} s", flush=True)


def _fail(error: StackError) -> int:
    print(f"\n{error}", file=sys.stderr, flush=True)
    return 1


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequested
