"""Validates a request against the parameter types that the stripe package was generated with."""

import sys
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from types import UnionType
from typing import Any, ForwardRef, Literal, NotRequired, Required, Union, get_args, get_origin

from stripe._request_options import RequestOptions

from infra.local.stripe_double.form import Form
from infra.local.stripe_double.refusals import Json, MalformedRequest, MissingParameter, UnknownParameter

# Limits of metadata: https://docs.stripe.com/api/metadata
MAX_METADATA_KEYS = 50
MAX_METADATA_KEY_CHARS = 40
MAX_METADATA_VALUE_CHARS = 500
INTEGERS = range(-(2**63), 2**63)


def read_parameters(shape: type, form: Form) -> Json:
    """Return the parameters with the types that the shape gives them.

    raises  UnknownParameter, MissingParameter, MalformedRequest naming the parameter
    """
    return _read_object(shape, form, "")


def _read_object(shape: type, form: Form, path: str) -> Json:
    fields = _fields(shape)
    for name in form:
        if name not in fields:
            raise UnknownParameter(_join(path, name))
    for name in shape.__required_keys__:  # type: ignore[attr-defined]
        if name not in form:
            raise MissingParameter(_join(path, name))
    return {name: _read(fields[name], value, _join(path, name)) for name, value in form.items()}


@cache
def _fields(shape: type) -> Mapping[str, object]:
    """Return each parameter's type; what the package takes as an option of the request is no parameter."""
    names = vars(sys.modules[shape.__module__])
    declared = shape.__annotations__.items()
    options = RequestOptions.__annotations__ if _mixes_options(shape) else {}
    return {name: _resolve(kind, names) for name, kind in declared if name not in options}


def _mixes_options(shape: type) -> bool:
    """Tell whether the shape mixes the request's options among its parameters."""
    return set(RequestOptions.__annotations__) <= set(shape.__annotations__)


def _resolve(kind: object, names: Mapping[str, object]) -> object:
    """Turn an annotation into types, none of them a forward reference at its top."""
    if isinstance(kind, str):
        kind = ForwardRef(kind)
    if isinstance(kind, ForwardRef):
        # The text comes from the installed package.
        return _resolve(eval(kind.__forward_arg__, dict(names)), names)
    if get_origin(kind) in {NotRequired, Required}:
        return _resolve(get_args(kind)[0], names)
    if get_origin(kind) in {Union, UnionType}:
        return tuple(_resolve(member, names) for member in get_args(kind))
    if get_origin(kind) in {list, dict}:
        arguments = [_resolve(member, names) for member in get_args(kind)]
        return [get_origin(kind), *arguments]
    return kind


def _read(kind: object, value: "str | Form", path: str) -> Any:
    members = kind if isinstance(kind, tuple) else (kind,)
    if value == "":
        return _read_empty(members, path)
    if isinstance(value, dict):
        return _read_nested(members, value, path)
    return _read_scalar(members, value, path)


def _read_empty(members: tuple[object, ...], path: str) -> str:
    if any("" in _choices(member) for member in members):
        return ""
    raise MalformedRequest(
        f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; however"
        f" '{path}' cannot be unset. You should remove '{path}' from your request or supply a non-empty value.",
        param=path,
        code="parameter_invalid_empty",
    )


def _read_nested(members: tuple[object, ...], value: Form, path: str) -> Any:
    for member in members:
        if isinstance(member, list) and member[0] is list:
            return _read_list(member[1], value, path)
        if isinstance(member, list):
            return _read_mapping(member[2], value, path)
        if isinstance(member, type) and hasattr(member, "__required_keys__"):
            return _read_object(member, value, path)
    raise MalformedRequest(f"Invalid {_name_of(members)}: {path}", param=path)


def _read_list(member: object, value: Form, path: str) -> list[Any]:
    if not all(name.isdecimal() for name in value):
        raise MalformedRequest("Invalid array", param=path)
    items = sorted(value.items(), key=lambda item: int(item[0]))
    return [_read(member, item, f"{path}[{name}]") for name, item in items]


def _read_mapping(member: object, value: Form, path: str) -> Json:
    for name, item in value.items():
        if path.endswith("metadata") or path.endswith("metadata]"):
            _check_metadata(name, item, path)
    if len(value) > MAX_METADATA_KEYS:
        raise MalformedRequest(f"You can specify up to {MAX_METADATA_KEYS} keys.", param=path)
    return {name: item if item == "" else _read(member, item, f"{path}[{name}]") for name, item in value.items()}


def _check_metadata(name: str, item: "str | Form", path: str) -> None:
    if not isinstance(item, str):
        raise MalformedRequest("Metadata values must be strings.", param=f"{path}[{name}]")
    if len(name) > MAX_METADATA_KEY_CHARS or len(item) > MAX_METADATA_VALUE_CHARS:
        raise MalformedRequest(
            f"Metadata keys can be up to {MAX_METADATA_KEY_CHARS} characters long, values up to"
            f" {MAX_METADATA_VALUE_CHARS}.",
            param=f"{path}[{name}]",
        )


def _read_scalar(members: tuple[object, ...], value: str, path: str) -> Any:
    choices = [choice for member in members for choice in _choices(member)]
    if value in choices:
        return value
    for kind, read in ((bool, _boolean), (int, _integer), (float, _decimal), (Decimal, _decimal)):
        if kind in members:
            return read(value, path)
    # An enumeration is typed as open, for versions to come; today's server knows today's values.
    if str in members and not any(choices):
        return value
    if choices:
        raise MalformedRequest(f"Invalid {path}: must be one of {_enumerate(choices)}", param=path)
    raise MalformedRequest(f"Invalid {_name_of(members)}", param=path)


def _integer(value: str, path: str) -> int:
    digits = value.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and int(value) in INTEGERS:
        return int(value)
    raise MalformedRequest(f"Invalid integer: {value}", param=path, code="parameter_invalid_integer")


def _boolean(value: str, path: str) -> bool:
    if value in {"true", "false"}:
        return value == "true"
    raise MalformedRequest(f"Invalid boolean: {value}", param=path)


def _decimal(value: str, path: str) -> str:
    try:
        is_finite = Decimal(value).is_finite()
    except InvalidOperation:
        is_finite = False
    if is_finite:
        return value
    raise MalformedRequest(f"Invalid decimal: {value}", param=path)


def _choices(member: object) -> tuple[str, ...]:
    return get_args(member) if get_origin(member) is Literal else ()


def _enumerate(choices: list[str]) -> str:
    shown = [choice for choice in choices if choice]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])}, or {shown[-1]}"


def _name_of(members: tuple[object, ...]) -> str:
    first = next(iter(members), None)
    if isinstance(first, list):
        return "array" if first[0] is list else "object"
    return (
        "object"
        if hasattr(first, "__required_keys__")
        else getattr(first, "__name__", "value").replace("str", "string")
    )


def _join(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name
