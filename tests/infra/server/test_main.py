"""What the server is started with: as `make dev` and the container start it."""

import sys
from typing import Any

import pytest
import uvicorn

from infra.server.__main__ import main

# Heroku's router keeps a connection for 90 s, the longest of those that stand before a container.
ROUTER_KEEP_ALIVE_S = 90
SPARE_S = 5


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What uvicorn would be run with; waiting for an idle connection to be closed would take minutes."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _application, **options: given.update(options))
    monkeypatch.setattr(sys, "argv", ["infra.server", "--port", "8000", "--host", "0.0.0.0", "--stop-limit-s", "17"])
    main()
    return given


def test_an_idle_connection_is_kept_longer_than_the_proxy_before_it_keeps_it(options: dict[str, Any]) -> None:
    assert options["timeout_keep_alive"] >= ROUTER_KEEP_ALIVE_S + SPARE_S


def test_it_listens_and_stops_as_it_is_told(options: dict[str, Any]) -> None:
    assert (options["host"], options["port"], options["timeout_graceful_shutdown"]) == ("0.0.0.0", 8000, 17)


def test_no_header_says_by_itself_whose_address_a_clients_is(options: dict[str, Any]) -> None:
    assert options["proxy_headers"] is False
