"""Whether the functions would start with given variables; their own settings classes say."""

from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from infra.aws.template import DeployedFunction
from shared.core import settings
from shared.core.variables import Environment, SettingsError


class SettingsClass(Protocol):
    """How a function reads its environment."""

    def read(self, environment: Environment) -> object:
        """Read the settings; raises SettingsError."""
        ...


def settings_class(group: str) -> SettingsClass:
    """Return the settings class of a group: StripeWebhookSettings for stripe_webhook."""
    name = "".join(word.capitalize() for word in group.split("_")) + "Settings"
    return cast(SettingsClass, getattr(settings, name))


def check_settings(functions: Iterable[DeployedFunction], variables: Mapping[str, str]) -> None:
    """Read each function's settings as it would itself, were these all the stored variables.

    raises  SettingsError that names the function
    """
    for function in functions:
        stored = {name: variables[name] for name in function.parameters if name in variables}
        try:
            settings_class(function.group).read({**stored, **function.environment})
        except SettingsError as error:
            raise SettingsError(f"{function.group} would not start: {error}") from error
