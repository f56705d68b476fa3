"""What the chat function loads before its first request, and what that costs beside the libraries it stands on."""

import sysconfig
from pathlib import Path

from infra.measure.budget import MAX_CHAT_RATIO
from infra.measure.imports import Import, run_import, run_in_turn, typical_ratio
from infra.package.groups import ROOT

ROUNDS = 9
HEAVY = ("supabase", "stripe", "boto3", "botocore", "resend", "openai", "httpx")
FOLDERS = (ROOT, Path(sysconfig.get_path("purelib")))
CHAT = Import(("functions.chat.app",), FOLDERS)
LIBRARIES = Import(("fastapi", "aiohttp"), FOLDERS)


def test_the_chat_function_loads_no_heavy_client() -> None:
    loaded = run_import(CHAT).loaded

    assert "functions.chat.app" in loaded
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []


def test_importing_the_chat_function_costs_a_quarter_more_than_fastapi_and_aiohttp_at_most() -> None:
    imports = {"chat": CHAT, "libraries": LIBRARIES}
    # Compiles what was never imported before.
    run_in_turn(imports, 1)

    runs = run_in_turn(imports, ROUNDS)

    ratio = typical_ratio(runs["chat"], runs["libraries"])
    assert ratio <= MAX_CHAT_RATIO, f"importing chat costs {ratio:.2f} times what importing fastapi and aiohttp does"
