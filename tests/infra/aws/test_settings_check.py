"""Whether the functions would start is what their own settings say."""

import pytest

from infra.aws.settings_check import check_settings
from infra.aws.template import read_functions
from shared.core.variables import SettingsError

VARIABLES = {
    "SUPABASE_URL": "https://project.supabase.example",
    "SUPABASE_SERVICE_ROLE_KEY": "key",
    "UPSTASH_REDIS_REST_URL": "https://database.upstash.example",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "SECRET_KEY": "s" * 32,
}


def test_the_least_that_every_function_needs_is_enough() -> None:
    check_settings(read_functions().values(), VARIABLES)


@pytest.mark.parametrize("missing", VARIABLES)
def test_a_missing_variable_is_named_with_the_function_that_needs_it(missing: str) -> None:
    rest = {name: value for name, value in VARIABLES.items() if name != missing}
    with pytest.raises(SettingsError, match=rf"^\w+ would not start: {missing} is not set$"):
        check_settings(read_functions().values(), rest)


@pytest.mark.parametrize(
    ("name", "value", "function"),
    [
        ("SECRET_KEY", "short", "chat"),
        ("CRON_SECRET", "short", "scheduled"),
        ("OPENROUTER_BASE_URL", "https://openrouter.example", "chat"),
        ("PRIVY_VERIFICATION_KEY", "a key without an app", "chat"),
    ],
)
def test_a_variable_that_cannot_be_is_refused_without_its_value(name: str, value: str, function: str) -> None:
    with pytest.raises(SettingsError, match=f"^{function} would not start: {name}") as refusal:
        check_settings(read_functions().values(), {**VARIABLES, name: value})
    assert value not in str(refusal.value)


def test_a_function_is_not_helped_by_what_it_may_not_read() -> None:
    """CRON_SECRET is none of chat's business, so chat starts with one that scheduled refuses."""
    chat = [function for function in read_functions().values() if function.group == "chat"]
    check_settings(chat, {**VARIABLES, "CRON_SECRET": "short"})
