"""The Terraform folders hold together: no provider can be had here, so what needs none is checked."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import hcl2
import pytest

from infra.local.stack import ROOT
from tests.deploy.terraform_files import FILES, FOLDERS, TERRAFORM_FOLDER, TerraformFolder

PIN = re.compile(r"~> \d+\.\d+")
SECRET_NAME = re.compile(r"(password|secret|token|api_key|_keys?$)", re.IGNORECASE)
VERCEL = TerraformFolder(TERRAFORM_FOLDER / "vercel")
LISTED_VARIABLE = re.compile(r"^([A-Z_]+)=", re.MULTILINE)
# Vercel itself writes x-vercel-forwarded-for, and the settings refuse this one beside another source.
NOT_ON_VERCEL = {"TRUSTED_PROXY_COUNT", "CONNECTION_SILENCE_LIMIT_S", "HOLD_GRACE_S"}

each_folder = pytest.mark.parametrize(
    "folder", [TerraformFolder(path) for path in FOLDERS], ids=[path.name for path in FOLDERS]
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_parses(path: Path) -> None:
    assert hcl2.loads(path.read_text())


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_the_files_are_formatted_as_terraform_formats_them() -> None:
    command = ["terraform", "fmt", "-check", "-recursive", "-list=true", str(TERRAFORM_FOLDER)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@each_folder
def test_every_variable_is_used_and_every_used_one_declared(folder: TerraformFolder) -> None:
    used = {reference.split(".")[1] for reference in folder.references if reference.startswith("var.")}
    # A validation speaks of its own variable; that alone is no use of it.
    outside_declarations = re.sub(r'^variable ".*?^}', "", folder.text, flags=re.MULTILINE | re.DOTALL)
    needed = {name for name in folder.named("variable") if re.search(rf"\bvar\.{name}\b", outside_declarations)}
    assert set(folder.named("variable")) == needed == used


@each_folder
def test_every_reference_leads_to_something_that_is_there(folder: TerraformFolder) -> None:
    there = {f"var.{name}" for name in folder.named("variable")}
    there |= {f"local.{name}" for name in folder.locals}
    there |= {f"data.{name}" for name in folder.typed("data")}
    there |= set(folder.typed("resource"))
    for name, module in folder.named("module").items():
        outputs = TerraformFolder((folder.path / module["source"]).resolve()).named("output")
        there |= {f"module.{name}.{output}" for output in outputs}
    dangling = {reference for reference in folder.references if not any(_leads_to(reference, one) for one in there)}
    assert len(folder.references) > 5
    assert dangling == set()


@each_folder
def test_a_module_gets_the_variables_that_it_declares(folder: TerraformFolder) -> None:
    for module in folder.named("module").values():
        declared = TerraformFolder((folder.path / module["source"]).resolve()).named("variable")
        required = {name for name, body in declared.items() if "default" not in body}
        given = set(module) - {"source"}
        assert required <= given <= set(declared)


@each_folder
def test_every_provider_in_use_is_pinned(folder: TerraformFolder) -> None:
    used = {name.split("_")[0] for name in (*folder.typed("resource"), *folder.typed("data"))}
    pins = {name: body["version"] for name, body in folder.required_providers.items()}
    assert set(pins) == used
    assert [version for version in pins.values() if not PIN.fullmatch(version)] == []


@each_folder
def test_no_secret_is_written_down(folder: TerraformFolder) -> None:
    literals = re.findall(r'^\s*(\w+)\s*=\s*"([^"$]+)"', folder.text, re.MULTILINE)
    assert [(name, value) for name, value in literals if SECRET_NAME.search(name)] == []
    assert re.findall(r"\b[A-Za-z0-9+/_-]{40,}\b", folder.text) == []


@each_folder
def test_what_holds_a_secret_is_marked_so(folder: TerraformFolder) -> None:
    for name, variable in folder.named("variable").items():
        if SECRET_NAME.search(name) or "api_key" in str(variable["type"]):
            assert variable.get("sensitive") is True, name
    for name, output in folder.named("output").items():
        if SECRET_NAME.search(f"{name} {output['value']}") or "environment" in str(output["value"]):
            assert output.get("sensitive") is True, name


@pytest.mark.parametrize(
    ("folder", "resource"),
    [("vercel", "random_password.secret_key"), ("stores", "supabase_project.gateway")],
    ids=["the key of the customers' keys", "the ledger"],
)
def test_what_cannot_be_had_back_is_destroyed_by_no_command(folder: str, resource: str) -> None:
    (lifecycle,) = TerraformFolder(TERRAFORM_FOLDER / folder).typed("resource")[resource]["lifecycle"]
    assert lifecycle["prevent_destroy"] is True


def test_vercel_gets_exactly_the_variables_that_the_functions_read() -> None:
    stores = TerraformFolder(TERRAFORM_FOLDER / "stores").locals["environment"]
    given = {**VERCEL.locals["environment"], **VERCEL.locals["optional_environment"]}
    listed = set(LISTED_VARIABLE.findall((ROOT / ".env.example").read_text()))
    assert set(given) == listed - NOT_ON_VERCEL
    assert {name for name, value in given.items() if "module.stores.environment" in value} == set(stores)
    assert VERCEL.locals["environment"]["CLIENT_ADDRESS_SOURCE"] == "vercel"


@pytest.mark.parametrize("name", ["chat", "images"])
def test_the_time_limit_told_to_a_function_that_calls_providers_is_the_one_that_vercel_holds_it_to(name: str) -> None:
    service = json.loads((ROOT / "vercel.json").read_text())["services"][name]
    (function,) = service["functions"].values()
    assert VERCEL.named("variable")["function_time_limit_s"]["default"] == function["maxDuration"]


def test_every_region_of_the_stores_has_functions_beside_it() -> None:
    stores = (TERRAFORM_FOLDER / "stores" / "variables.tf").read_text()
    allowed = re.findall(r'"([a-z]+-[a-z]+-\d)"', re.findall(r"contains\(\[(.*?)\]", stores, re.DOTALL)[0])
    assert len(allowed) > 5
    assert set(VERCEL.locals["vercel_regions"]) == set(allowed)


def _leads_to(reference: str, there: str) -> bool:
    return reference == there or reference.startswith(f"{there}.")
