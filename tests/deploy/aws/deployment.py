"""Putting the gateway into the account as a developer does: its parameters, then `osls deploy`."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.aws.template import read_functions
from infra.local.environment import write_environment
from infra.local.processes import inherited_environment
from infra.local.stack import ROOT
from tests.deploy.aws.account import REGION, Account
from tests.deploy.aws.deployed import DeploymentError

STAGE = "prod"
# What the functions' names begin with.
SERVICE = f"ai-gateway-{STAGE}-"
OSLS = ROOT / "infra" / "deploy" / "node_modules" / ".bin" / "osls"
# What serverless.yml reads.
READ_FROM = ("infra", ".build")
WITHIN_S = 120.0


def deploy(account: Account, folder: Path, architecture: str) -> None:
    """Deploy serverless.yml and the zips in .build, from a folder of its own: osls keeps its state beside the file.

    raises  DeploymentError with what osls printed
    """
    # Copied, since osls takes no link for its own file.
    shutil.copy(ROOT / "serverless.yml", folder)
    for name in READ_FROM:
        (folder / name).symlink_to(ROOT / name)
    node = shutil.which("node")
    if node is None or not OSLS.exists():
        raise DeploymentError("osls is not installed; run `make test-deploy`")
    variables = {**inherited_environment(), **account.environment, "HOME": str(folder), "CI": "1"}
    # osls looks every five seconds whether the stack is there, unless it is told to look more often.
    variables["SLS_AWS_MONITORING_FREQUENCY"] = "100"
    options = ("--stage", STAGE, "--region", REGION, "--param", f"arch={architecture}")
    _run((node, str(OSLS), "deploy", *options), folder, variables)


def put_parameters(account: Account, variables: Mapping[str, str], folder: Path) -> None:
    """Put the gateway's variables where its functions read them, by the program that an operator runs.

    raises  DeploymentError with what it printed
    """
    parameters = {name for function in read_functions().values() for name in function.parameters}
    env_file = folder / "variables.env"
    write_environment(env_file, {name: value for name, value in variables.items() if name in parameters})
    command = (sys.executable, "-m", "infra.aws.secrets", "put", "--stage", STAGE, "--env-file", str(env_file))
    _run(command, ROOT, {**inherited_environment(), **account.environment})


def _run(command: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> None:
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    if ended.returncode != 0:
        raise DeploymentError(f"{' '.join(command)} failed:\n{ended.stdout}\n{ended.stderr}")
