"""Reading scripts."""

from decimal import Decimal

import pytest

from infra.local.simulator.script import Cut, Hang, Script, ScriptError, UsageMode, parse_script, read_settings


def read(model: str = "any/model", field: object = None, header: str = "") -> Script:
    return parse_script(read_settings(model, field, header))


def test_a_model_that_is_not_scripted_answers_as_the_defaults_say() -> None:
    assert read("openai/gpt-5-mini") == Script()


@pytest.mark.parametrize("name", ["sim/echo", "sim/free", "sim/"])
def test_plain_names_set_nothing(name: str) -> None:
    assert read(name) == Script()


def test_settings_stand_in_the_model_name() -> None:
    assert read("sim/tokens=20,pace_ms=5,usage=missing") == Script(tokens=20, pace_ms=5, usage=UsageMode.MISSING)


def test_a_name_without_a_value_is_a_raised_flag() -> None:
    assert read("sim/echo,crlf,wide=1").crlf


def test_header_wins_over_body_and_body_over_model() -> None:
    script = read("sim/tokens=1,at=1,comments=1", {"tokens": 2, "at": 2, "crlf": True}, "tokens=3")
    assert script == Script(tokens=3, at=2, comments=1, crlf=True)


def test_every_kind_of_value_is_read() -> None:
    script = read(header="hang=mid_stream, cut=clean, cost=0.00123, gate=g1, key=k, status=429, retry_after=7")
    expected = Script(
        hang=Hang.MID_STREAM, cut=Cut.CLEAN, cost=Decimal("0.00123"), gate="g1", key="k", status=429, retry_after=7
    )
    assert script == expected


@pytest.mark.parametrize(
    "settings",
    [
        "color=red",
        "tokens=many",
        "tokens=-1",
        "tokens=999999999",
        "usage=maybe",
        "hang=always",
        "status=200",
        "cost=NaN",
        "cost=x",
        "json=yes",
    ],
)
def test_unknown_settings_and_impossible_values_are_refused_by_name(settings: str) -> None:
    with pytest.raises(ScriptError, match=settings.partition("=")[0]):
        read(header=settings)


@pytest.mark.parametrize("field", ["tokens=3", ["tokens"], {"tokens": None}, {"tokens": [1]}])
def test_a_body_field_that_is_no_object_of_settings_is_refused(field: object) -> None:
    with pytest.raises(ScriptError):
        read(field=field)


def test_every_field_of_a_script_can_be_set() -> None:
    texts = {
        "usage": "zero",
        "hang": "mid_stream",
        "cut": "clean",
        "status": "500",
        "gate": "g",
        "key": "k",
        "image_form": "url",
        "vectors": "other",
        "on_cancel": "finish",
    }
    settings = {name: texts.get(name, "1") for name in Script.__dataclass_fields__}
    assert parse_script(settings).usage is UsageMode.ZERO
