"""The files that are written from the code are as the code says, and what would make them wrong is found."""

import json
from pathlib import Path

import pytest
import schemathesis

from infra.describe.__main__ import DOCUMENT, described, main
from infra.describe.applications import load_applications
from infra.describe.document import NameTaken, merge
from infra.describe.marks import MarkMissing, with_part
from infra.describe.refusals import AmbiguousRefusal, Row, refusal_classes, refusal_table, row_of
from infra.package.groups import ROOT, find_groups
from shared.core.errors import GatewayError
from shared.web.access import every_route


def test_every_file_is_as_the_code_says() -> None:
    stale = [path.relative_to(ROOT).as_posix() for path, text in described().items() if path.read_text() != text]
    assert stale == [], "run `make describe`"


def test_a_file_that_is_out_of_date_fails_the_check_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "openapi.json"
    older.write_text("{}")
    monkeypatch.setattr("infra.describe.__main__.ROOT", tmp_path)
    monkeypatch.setattr("infra.describe.__main__.described", lambda: {older: "{}\n"})
    assert main(["--check"]) == 1
    assert older.read_text() == "{}"
    assert "openapi.json is not as the code says" in capsys.readouterr().err
    assert main([]) == 0
    assert older.read_text() == "{}\n"
    assert main(["--check"]) == 0


def test_the_document_is_valid_and_has_every_route_of_every_function() -> None:
    document = json.loads(DOCUMENT.read_text())
    schemathesis.openapi.from_dict(document).validate()
    expected = {
        (group, method.lower(), getattr(route, "path_format", ""))
        for group, application in load_applications().items()
        for route in every_route(application.routes)
        if getattr(route, "include_in_schema", False)
        for method in getattr(route, "methods", ())
    }
    found = {
        (*operation["tags"], method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert found == expected
    assert [tag["name"] for tag in document["tags"]] == [group.name for group in find_groups()]


def test_an_operation_has_one_id_and_a_second_name_says_whose_it_is() -> None:
    paths = json.loads(DOCUMENT.read_text())["paths"]
    ids = [operation["operationId"] for operations in paths.values() for operation in operations.values()]
    assert len(ids) == len(set(ids))
    assert paths["/v1/models"]["get"]["x-alias-of"] == "GET /models"
    assert "x-alias-of" not in paths["/models"]["get"]
    for operations in paths.values():
        for operation in operations.values():
            method, _, path = operation.get("x-alias-of", "").partition(" ")
            assert not path or "x-alias-of" not in paths[path][method.lower()]


def test_two_functions_that_describe_one_thing_differently_are_found() -> None:
    one = {
        "openapi": "3.1.0",
        "info": {"version": "1"},
        "paths": {},
        "components": {"schemas": {"A": {"type": "null"}}},
    }
    other = one | {"components": {"schemas": {"A": {"type": "string"}}}}
    assert merge({"one": one, "other": one})["components"]["schemas"] == {"A": {"type": "null"}}
    with pytest.raises(NameTaken, match="A is described"):
        merge({"one": one, "other": other})


def test_two_refusals_of_one_code_say_the_same_of_it() -> None:
    class Taken(GatewayError):
        """It is taken."""

        status = 409
        code = "taken"

    class TakenByYou(GatewayError):
        """You have it."""

        status = 409
        code = "taken"

    class AlsoTaken(GatewayError):
        """For developers.

        More of it.
        """

        status = 409
        code = "taken"
        advice = "Choose another."

    assert row_of("taken", [Taken]) == Row("taken", 409, is_retryable=False, text="It is taken.")
    assert row_of("taken", [Taken, AlsoTaken]).text == "Choose another."
    with pytest.raises(AmbiguousRefusal, match="TakenByYou"):
        row_of("taken", [Taken, TakenByYou])


def test_names_in_an_advice_are_written_whole() -> None:
    advices = {str(one.advice) for one in refusal_classes() if vars(one).get("advice")}
    assert len(advices) > 50
    for advice in advices:
        spans = advice.split("`")
        assert len(spans) % 2 == 1, advice
        assert not [span for span in spans[1::2] if span != span.strip() or "- " in span], advice


def test_a_part_takes_the_place_of_the_older_one_alone() -> None:
    page = "a\n<!-- x, written by `make describe` -->\nold\n<!-- end of what is written -->\nb\n"
    once = with_part(page, "x", "new\n")
    assert once == with_part(once, "x", "new\n")
    assert "old" not in once and once.startswith("a\n") and once.endswith("\nb\n")
    with pytest.raises(MarkMissing, match="y, written"):
        with_part(page, "y", "new\n")


def test_what_would_break_a_table_is_nowhere_in_it() -> None:
    rows = refusal_table().splitlines()
    assert len(rows) > 90
    assert {row.count(" |") for row in rows if not row.startswith("|---")} == {4}
