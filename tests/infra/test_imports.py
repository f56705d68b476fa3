"""What a function loads before its first request, and what that costs chat beside the libraries it stands on."""

import sysconfig
from pathlib import Path

import pytest

from infra.measure.budget import MAX_CHAT_RATIO
from infra.measure.imports import Import, run_import, run_in_turn, typical_ratio
from infra.package.groups import ROOT, find_groups

ROUNDS = 9
# What costs a cold start a part of a second is imported at its first use.
HEAVY = {"supabase", "stripe", "boto3", "botocore", "resend", "jinja2", "openai", "httpx", "requests"}
# Its stores are asked by their vendors' own packages.
OF_CATALOG = {"supabase", "httpx"}
FOLDERS = (ROOT, Path(sysconfig.get_path("purelib")))
CHAT = Import(("functions.chat.app",), FOLDERS)
LIBRARIES = Import(("fastapi", "aiohttp"), FOLDERS)


@pytest.mark.parametrize("group", [group.name for group in find_groups()])
def test_a_function_loads_no_heavy_client(group: str) -> None:
    module = f"functions.{group}.app"
    loaded = run_import(Import((module,), FOLDERS)).loaded

    assert module in loaded
    heavy = {name.partition(".")[0] for name in loaded} & HEAVY
    assert heavy == (OF_CATALOG if group == "catalog" else set())


def test_importing_the_chat_function_costs_a_quarter_more_than_fastapi_and_aiohttp_at_most() -> None:
    imports = {"chat": CHAT, "libraries": LIBRARIES}
    # Compiles what was never imported before.
    run_in_turn(imports, 1)

    runs = run_in_turn(imports, ROUNDS)

    ratio = typical_ratio(runs["chat"], runs["libraries"])
    assert ratio <= MAX_CHAT_RATIO, f"importing chat costs {ratio:.2f} times what importing fastapi and aiohttp does"
