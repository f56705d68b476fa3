"""What the code behind a route leads to, as far as the names in it tell: functions and classes of ours, attributes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

OURS = ("functions.", "shared.")


@dataclass(frozen=True, slots=True)
class Reached:
    """The functions and classes, and every name that their code uses, of attributes too."""

    objects: set[Any] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


def reached_from(endpoint: object) -> Reached:
    """Follow the code from a function on, each part once.

    A method is found by its class, where code names that or a field is of it: so more is reached than is called.
    """
    reached = Reached()
    waiting = [endpoint]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, tuple | list | frozenset | set):
            waiting += each
        elif _is_ours(each) and each not in reached.objects:
            reached.objects.add(each)
            waiting += _named_by(each, reached.names)
    return reached


def _is_ours(each: object) -> bool:
    return isinstance(each, type | FunctionType) and each.__module__.startswith(OURS)


def _named_by(each: Any, names: set[str]) -> Iterator[object]:
    if isinstance(each, type):
        # Also what is inherited, and what stands behind a property or a class method.
        for member in [*each.__bases__, *vars(each).values()]:
            yield from (member, getattr(member, "fget", None), getattr(member, "__func__", None))
        return
    yield getattr(each, "__wrapped__", None)
    for cell in each.__closure__ or ():
        yield cell.cell_contents
    for code in _codes(each.__code__):
        names.update(code.co_names)
        for name in code.co_names:
            found = each.__globals__.get(name)
            yield found
            if isinstance(found, ModuleType) and found.__name__.startswith(OURS):
                yield from (getattr(found, of_module, None) for of_module in code.co_names)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Return a function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
