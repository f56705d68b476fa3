"""An env file's variables: NAME=value lines, comments, quotes."""

import re

NAME = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*", re.ASCII)
QUOTED = re.compile(r"""\s*(["'])(?P<value>(?:(?!\1).)*)\1\s*(?:#.*)?""")
UNQUOTED = re.compile(r"""(?!\s*["'])(?P<value>.*?)(?:\s#.*)?""")


class EnvFileError(Exception):
    """The file cannot be read as variables; the message names the line and never repeats it."""


def parse_env_file(text: str) -> dict[str, str]:
    """Return every variable by its name; one that is named without a value is empty.

    Nothing is expanded or unescaped: what stands between the quotes is the value.

    raises  EnvFileError for any other line, and for a name that stands there twice
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        name, value = _parse_line(content, number)
        if name in variables:
            raise EnvFileError(f"line {number}: {name} stands in the file twice")
        variables[name] = value
    return variables


def _parse_line(line: str, number: int) -> tuple[str, str]:
    before, equals, after = line.partition("=")
    name = NAME.fullmatch(before)
    value = QUOTED.fullmatch(after) or UNQUOTED.fullmatch(after)
    if name is None or not equals or value is None:
        raise EnvFileError(f"line {number} is not NAME=value or NAME='value'")
    return name[1], value["value"].strip()
