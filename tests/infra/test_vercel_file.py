"""vercel.json and .vercelignore: one block per function, a file that every plan takes, and no secret that is sent."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.aws.template import read_functions
from infra.package.groups import ROOT, find_groups
from infra.vercel_build import list_sources

GROUPS = [group.name for group in find_groups()]
SETTINGS: dict[str, Any] = json.loads((ROOT / "vercel.json").read_text())
# What the Pro plan and the Hobby plan allow. source: https://vercel.com/docs/functions/limitations
MAX_DURATION_S = 800
MAX_DURATION_ON_HOBBY_S = 300
MAX_MEMORY_MB = 2048
OFTEN = re.compile(r"(\*|[0-5]?\d) \* \* \* \*")
ONCE_A_DAY = re.compile(r"[0-5]?\d (1?\d|2[0-3]) \* \* \*")


@pytest.mark.parametrize("group", GROUPS)
def test_a_service_is_installed_from_its_own_lock_and_holds_its_own_code(group: str) -> None:
    service = dict(SETTINGS["services"][group])
    ((path, limits),) = service.pop("functions").items()
    assert service == {
        "root": ".",
        "framework": "fastapi",
        "entrypoint": f"functions.{group}.app:app",
        "installCommand": f"uv pip install --require-hashes -r infra/requirements/{group}.txt && uv pip uninstall pip",
    }
    assert path == f"functions/{group}/app.py"
    assert set(limits) == {"maxDuration", "memory", "excludeFiles"}
    assert limits["maxDuration"] <= MAX_DURATION_S
    assert limits["memory"] <= MAX_MEMORY_MB
    assert limits["excludeFiles"] == f"{{!(functions|shared),!(functions|shared)/**,functions/!({group})/**}}"


@pytest.mark.parametrize("group", GROUPS)
def test_a_function_has_no_less_memory_than_on_aws_and_no_less_time_that_every_plan_allows(group: str) -> None:
    on_aws = read_functions()[group].block
    (limits,) = SETTINGS["services"][group]["functions"].values()
    assert limits["memory"] >= on_aws["memorySize"]
    assert limits["maxDuration"] >= min(on_aws["timeout"], MAX_DURATION_ON_HOBBY_S)


@pytest.mark.parametrize("cron", SETTINGS["crons"], ids=lambda cron: cron["path"])
def test_a_job_runs_once_a_day_which_every_plan_takes_or_every_minute_or_hour_on_pro(cron: dict[str, str]) -> None:
    assert OFTEN.fullmatch(cron["schedule"]) or ONCE_A_DAY.fullmatch(cron["schedule"])


def test_only_code_and_locks_leave_the_machine(tmp_path: Path) -> None:
    for name in (".gitignore", ".vercelignore"):
        shutil.copy(ROOT / name, tmp_path)
    sent = ["functions/chat/app.py", "infra/requirements/chat.txt", "shared/limits/reserve.lua"]
    sent += ["shared/notifications/templates/mails/welcome.jinja", "vercel.json"]
    kept = [".env", ".env.production", ".local/dev.env", ".vercel/.env.production.local", "docs/a.md", "infra/a.py"]
    kept += ["pyproject.toml", "shared/core/__pycache__/a.pyc", "tests/shared/a.py", "infra/terraform/a.tfvars"]
    for name in (*sent, *kept):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list_sources(tmp_path) == sent


def test_all_that_a_bundle_is_built_from_is_sent() -> None:
    needed = {"vercel.json", ".python-version", "functions/__init__.py"}
    needed |= {f"infra/requirements/{group}.txt" for group in GROUPS} | {
        f"functions/{group}/app.py" for group in GROUPS
    }
    for name in ("*.lua", "*.jinja"):
        found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "shared").rglob(name)}
        assert found
        needed |= found
    assert needed <= set(list_sources())
