"""How one variable of the environment is read: what is missing or cannot be is said by its name."""

from collections.abc import Mapping

import msgspec

Environment = Mapping[str, str]


class Setting(msgspec.Struct, frozen=True):
    """What is read of the environment; printing it shows no value, since most of them are secrets."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.__struct_fields__)})"


class SettingsError(Exception):
    """The environment lacks a variable or holds one that cannot be; the function refuses to start."""


def required(environment: Environment, name: str) -> str:
    """Return a variable that must be there.

    raises  SettingsError
    """
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set")
    return value


def positive_int(environment: Environment, name: str, default: int) -> int:
    """Return a whole number above 0, or the default where the variable is not set.

    raises  SettingsError
    """
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise SettingsError(f"{name} must be a whole number above 0, not {text!r}")
    return int(text)
