"""Ports on loopback: choosing free ones, and asking whether something answers there."""

import http.client
import random
import socket
from collections.abc import Mapping

LOOPBACK = "127.0.0.1"
# Below the range that Linux (32768+) and macOS (49152+) give to outgoing connections, which could take a port
# between our choice and the program's start.
CHOOSE_FROM = range(20_000, 32_000)
PROBE_TIMEOUT_S = 1.0


def is_free(port: int) -> bool:
    """Tell whether a program could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_free_ports(count: int) -> list[int]:
    """Return that many different free ports, at random, so that two stacks starting together do not meet."""
    chosen: list[int] = []
    for port in random.sample(CHOOSE_FROM, len(CHOOSE_FROM)):
        if len(chosen) == count:
            break
        if is_free(port):
            chosen.append(port)
    return chosen


def accepts_connections(port: int) -> bool:
    """Tell whether a program listens on the port."""
    try:
        socket.create_connection((LOOPBACK, port), PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def answers_http(port: int, path: str, headers: Mapping[str, str] | None = None) -> bool:
    """Tell whether a GET is answered with 200.

    policy  anything else, silence included, is no
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def post_json(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """POST to a service of the stack and return status and answer; no proxy of the environment is asked.

    raises  OSError, http.client.HTTPException
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
