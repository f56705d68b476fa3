"""What an env file may say, and that what it says is never repeated."""

import pytest

from infra.aws.env_file import EnvFileError, parse_env_file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("  NAME = value  ", "value"),
        ("export NAME=value", "value"),
        ("NAME=", ""),
        ("NAME='two words'", "two words"),
        ('NAME="two words"', "two words"),
        ("NAME='a \"quoted\" word'", 'a "quoted" word'),
        ("NAME='value # no comment'  # a comment", "value # no comment"),
        ("NAME=value # a comment", "value"),
        ("NAME= # a comment", ""),
        ("NAME=value#no-comment", "value#no-comment"),
        ("NAME=a=b==", "a=b=="),
        ("NAME=$HOME\\n", "$HOME\\n"),
        ("NAME=it's", "it's"),
    ],
)
def test_a_variable_is_read_as_it_is_meant(line: str, value: str) -> None:
    assert parse_env_file(line) == {"NAME": value}


def test_comments_and_empty_lines_say_nothing() -> None:
    assert parse_env_file("# NAME=value\n\n   \n  # more\n") == {}


def test_lines_may_end_as_on_windows() -> None:
    assert parse_env_file("A=1\r\nB=2\r\n") == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    "line", ["s3cret", "=s3cret", "1NAME=s3cret", "NA-ME=s3cret", "NAME='s3cret", 'NAME="s3cret" s3cret', "NÄME=s3cret"]
)
def test_a_line_that_is_no_variable_is_refused_by_its_number_alone(line: str) -> None:
    with pytest.raises(EnvFileError, match="line 2") as refusal:
        parse_env_file(f"FIRST=1\n{line}\n")
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("first", ["NAME=s3cret", "NAME="])
def test_a_name_that_stands_there_twice_is_refused(first: str) -> None:
    with pytest.raises(EnvFileError, match="line 2: NAME") as refusal:
        parse_env_file(f"{first}\nNAME=s3cret\n")
    assert "s3cret" not in str(refusal.value)
