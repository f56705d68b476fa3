"""Reads form-encoded parameters as Stripe does: `a[b][0][c]=v` is nested, `a[]=v` appends."""

import re
from urllib.parse import parse_qsl

from infra.local.stripe_double.refusals import MalformedRequest

MAX_FIELDS = 2_000
MAX_DEPTH = 8
_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")

type Form = dict[str, "str | Form"]


def parse_form(text: str) -> Form:
    """Return the parameters as nested objects; arrays are objects whose names are numbers.

    raises  MalformedRequest
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise MalformedRequest("Invalid request body: it is not a readable form.") from None
    form: Form = {}
    for name, value in pairs:
        _put(form, name, value)
    return form


def _put(form: Form, name: str, value: str) -> None:
    parts = _split(name)
    inner = form
    for part in parts[:-1]:
        below = inner.setdefault(_position(inner, part), {})
        if isinstance(below, str):
            raise MalformedRequest(f"Invalid object: {name}", param=parts[0])
        inner = below
    last = _position(inner, parts[-1])
    if isinstance(inner.get(last), dict):
        raise MalformedRequest(f"Invalid string: {name}", param=parts[0])
    inner[last] = value


def _split(name: str) -> list[str]:
    matched = _NAME.match(name)
    if matched is None:
        raise MalformedRequest(f"Invalid parameter name: {name}", param=name)
    parts = [matched[1], *_PART.findall(matched[2])]
    if len(parts) > MAX_DEPTH:
        raise MalformedRequest(f"Parameter is nested too deeply: {name}", param=parts[0])
    return parts


def _position(inner: Form, part: str) -> str:
    return part or str(len(inner))
