"""Gateways that several tests of this folder share, each started once."""

from collections.abc import Iterator

import pytest

from infra.local.ports import choose_free_ports
from infra.local.stack import LocalStack
from tests.functions.chat.raw_provider import RawProvider
from tests.harness.gateways import Gateways, RunningGateway


@pytest.fixture(scope="session")
def raw_provider() -> Iterator[RawProvider]:
    """A provider that sends the bytes it was told to."""
    provider = RawProvider().open()
    yield provider
    provider.close()


@pytest.fixture(scope="session")
def odd_gateway(stack: LocalStack, raw_provider: RawProvider) -> Iterator[RunningGateway]:
    """A gateway that loses patience after two seconds, whose Portkey sends raw bytes and whose Chutes is not there."""
    (closed_port,) = choose_free_ports(1)
    gateways = Gateways(stack)
    try:
        yield gateways(
            PROVIDER_SILENCE_LIMIT_S="2",
            PORTKEY_BASE_URL=raw_provider.url,
            CHUTES_BASE_URL=f"http://127.0.0.1:{closed_port}/v1",
        )
    finally:
        gateways.stop_all()


@pytest.fixture(scope="session")
def short_gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    """A gateway that must have answered within two seconds."""
    gateways = Gateways(stack)
    try:
        yield gateways(FUNCTION_TIME_LIMIT_S="22")
    finally:
        gateways.stop_all()
