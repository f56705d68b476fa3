"""The gateway's variables in Parameter Store, where the functions on AWS read them.

python -m infra.aws.secrets put --stage prod --env-file .env     store what is new or changed
python -m infra.aws.secrets list --stage prod                    what is stored since when; never a value
python -m infra.aws.secrets remove --stage prod CRON_SECRET

AWS's own variables (AWS_PROFILE, AWS_ENDPOINT_URL, …) say which account is meant. A function reads its variables when
it starts: `osls deploy --force` starts all of them anew.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.aws.env_file import EnvFileError, parse_env_file
from infra.aws.parameter_store import MAX_VALUE_BYTES, ParameterStore, StoreError
from infra.aws.settings_check import check_settings
from infra.aws.template import ROOT, read_functions
from shared.core.variables import SettingsError

EXAMPLE = ROOT / ".env.example"
# As in serverless.yml.
DEFAULT_REGION = "us-east-1"


class RefusedVariables(Exception):
    """What the file says cannot be what is meant; nothing was stored."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; print names, never a value."""
    parsed = _parser().parse_args(arguments)
    try:
        store = ParameterStore(stage=parsed.stage, region=parsed.region)
        match parsed.command:
            case "put":
                return 0 if put(store, parse_env_file(parsed.env_file.read_text())) else 1
            case "list":
                show(store)
            case _:
                return 0 if remove(store, parsed.name) else 1
    except (EnvFileError, RefusedVariables, SettingsError, StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def put(store: ParameterStore, variables: Mapping[str, str]) -> bool:
    """Store the variables that functions read and that differ from what is stored.

    An empty one counts as not given. Where it is stored all the same, it stays, and False says that the file and the
    store do not agree: whoever emptied a leaked key must not believe it gone.

    raises  RefusedVariables, SettingsError, before anything is stored; StoreError: repeating the command is safe
    """
    functions = read_functions()
    parameters = {name for function in functions.values() for name in function.parameters}
    _refuse_mistakes(variables, parameters)
    given = {name: value for name, value in variables.items() if value}
    stored = store.read(sorted(parameters))
    check_settings(functions.values(), {**stored, **given})
    if not stored:
        print(f"nothing is stored at {store.path} yet")
    for name, value in sorted(given.items()):
        if name not in parameters:
            print(f"left out   {name}, which serverless.yml sets")
        elif stored.get(name) == value:
            print(f"unchanged  {name}")
        else:
            store.write(name, value)
            print(f"{'changed  ' if name in stored else 'new      '}  {name}")
    emptied = sorted(name for name in stored if variables.get(name) == "")
    for name in emptied:
        print(f"kept       {name}, which is empty in the file but still stored; to take it out: remove {name}")
    return not emptied


def show(store: ParameterStore) -> None:
    """Print what is stored, in which version and since when."""
    for parameter in store.describe():
        print(f"{parameter.changed_at:%Y-%m-%d %H:%M %Z}  version {parameter.version:<3}  {parameter.name}")


def remove(store: ParameterStore, name: str) -> bool:
    """Remove one variable; functions that need it will not start again."""
    was_there = store.remove(name)
    readers = [function.group for function in read_functions().values() if name in function.parameters]
    print(f"removed    {name}, which {', '.join(readers) or 'nothing'} reads" if was_there else f"there is no {name}")
    return was_there


def _refuse_mistakes(variables: Mapping[str, str], parameters: set[str]) -> None:
    examples = parse_env_file(EXAMPLE.read_text())
    if unknown := sorted(set(variables) - set(examples)):
        raise RefusedVariables(f"no function reads {', '.join(unknown)}; .env.example lists what they read")
    for name in sorted(parameters & set(variables)):
        if variables[name] and variables[name] == examples[name]:
            raise RefusedVariables(f"{name} is still what .env.example says; put your own value there")
        if len(variables[name].encode()) > MAX_VALUE_BYTES:
            raise RefusedVariables(f"{name} is longer than {MAX_VALUE_BYTES} bytes, all that a parameter holds")


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--stage", required=True)
    common.add_argument("--region", default=DEFAULT_REGION, help=f"as for osls, {DEFAULT_REGION} unless told")
    parser = argparse.ArgumentParser(prog="python -m infra.aws.secrets")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("put", parents=[common]).add_argument("--env-file", type=Path, required=True)
    commands.add_parser("list", parents=[common])
    commands.add_parser("remove", parents=[common]).add_argument("name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
