"""What each Vercel bundle holds: its own function, what it needs, and nothing of the repository beside them."""

import re

import pytest

from infra.measure.budget import MAX_CHAT_BYTES
from infra.package.groups import ROOT, find_groups
from infra.vercel_build import PROJECT
from infra.vercel_output import MAIN_FILE, Bundle, read_output
from shared.core.settings import DEFAULT_TIME_LIMIT_S

# Some things are Vercel's own; its runtime brings what it needs within its folder.
RUNTIME = "vercel_runtime"
VENDORED = re.compile(r"_vendor/(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info/METADATA")
LOCKED = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?==(?P<version>[^\s;\\]+)")
GROUPS = find_groups()
HEAVY = {"boto3", "botocore", "httpx", "jinja2", "mangum", "openai", "resend", "stripe", "supabase"}

each_group = pytest.mark.parametrize("name", [group.name for group in GROUPS])


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    return {bundle.name: bundle for bundle in read_output(PROJECT).bundles}


def test_every_function_of_the_repository_is_a_bundle(bundles: dict[str, Bundle]) -> None:
    assert sorted(bundles) == [group.name for group in GROUPS]


@each_group
def test_a_bundle_holds_its_own_function_shared_and_vendored_packages(bundles: dict[str, Bundle], name: str) -> None:
    allowed = re.compile(rf"functions/__init__\.py|functions/{name}/.+|shared/.+|_vendor/.+|{MAIN_FILE}")
    assert [path for path in bundles[name].files if not allowed.fullmatch(path)] == []


@each_group
def test_a_bundle_s_packages_are_those_of_its_lock(bundles: dict[str, Bundle], name: str) -> None:
    (group,) = find_groups([name])
    locked = {_package(match) for match in LOCKED.finditer(group.lock.read_text())}
    vendored = {_package(match) for path in bundles[name].files if (match := VENDORED.fullmatch(path))}
    assert {package for package in vendored if package[0] != RUNTIME} <= locked
    folders = {path.split("/")[1] for path in bundles[name].files if path.startswith("_vendor/")}
    assert {"fastapi", RUNTIME} <= folders
    assert "pip" not in folders


def test_chat_has_no_heavy_client_and_stays_small(bundles: dict[str, Bundle]) -> None:
    chat = bundles["chat"]
    packages = {path.split("/")[1].lower() for path in chat.files if path.startswith("_vendor/")}
    assert packages & HEAVY == set()
    assert chat.size_bytes <= MAX_CHAT_BYTES


@each_group
def test_a_bundle_holds_every_template_of_an_e_mail(bundles: dict[str, Bundle], name: str) -> None:
    templates = {path.relative_to(ROOT).as_posix() for path in (ROOT / "shared").rglob("*.jinja")}
    assert templates
    assert {path for path in bundles[name].files if path.endswith(".jinja")} == templates


def test_chat_s_time_limit_is_the_one_that_it_believes_in_unless_told(bundles: dict[str, Bundle]) -> None:
    assert bundles["chat"].time_limit_s >= DEFAULT_TIME_LIMIT_S


def test_no_file_is_served_as_it_is() -> None:
    assert not (PROJECT / ".vercel" / "output" / "static").exists()


def _package(match: re.Match[str]) -> tuple[str, str]:
    return re.sub(r"[-_.]+", "_", match["name"]).lower(), match["version"]
