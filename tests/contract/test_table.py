"""The table in docs/api.md says what the tests of this folder showed; it is the last of them."""

import pytest

from tests.contract.matrix import CELLS, CLIENTS, NOT_OFFERED, Cell, Result, Run
from tests.contract.plugin import RUN, is_to_be_written
from tests.contract.programs import Programs
from tests.contract.table import FAILED_SIGN, NOT_OFFERED_SIGN, draw, read_table, signs_of, version_of, write_table

ALL_PASSED: dict[Cell, Result] = dict.fromkeys(CELLS, "✓")


def test_the_table_says_what_passed(request: pytest.FixtureRequest) -> None:
    run = request.config.stash[RUN]
    if is_to_be_written(request.config):
        write_table(run.results)
    differences = run.differs_from(signs_of(read_table()))
    assert not differences, "\n".join(differences)


def test_the_table_names_the_versions_that_are_locked_and_each_reason() -> None:
    told = signs_of(read_table())
    assert read_table() == draw({cell: "✓" if told[cell] == "✓" else "✗" for cell in CELLS})


def test_no_cell_of_the_page_fails() -> None:
    assert [cell for cell, sign in signs_of(read_table()).items() if sign == FAILED_SIGN] == []


@pytest.mark.parametrize("client", CLIENTS)
def test_the_version_that_is_told_is_the_one_that_ran(clients: Programs, client: str) -> None:
    assert clients.version(client) == version_of(CLIENTS[client])


def test_what_a_table_says_can_be_read_back() -> None:
    results = ALL_PASSED | {CELLS[3]: "✗"}
    assert signs_of(draw(results)) == results | dict.fromkeys(NOT_OFFERED, NOT_OFFERED_SIGN)


def test_a_whole_run_that_shows_less_or_that_failed_differs_from_a_table_of_passes() -> None:
    missing = {cell: result for cell, result in ALL_PASSED.items() if cell != CELLS[0]}
    failed: dict[Cell, Result] = {**ALL_PASSED, CELLS[1]: "✗"}
    assert len(Run(dict(missing), is_whole=True).differs_from(dict(ALL_PASSED))) == 1
    assert Run(dict(missing), is_whole=False).differs_from(dict(ALL_PASSED)) == []
    assert len(Run(failed, is_whole=False).differs_from(dict(ALL_PASSED))) == 1
    assert Run(dict(ALL_PASSED), is_whole=True).differs_from(dict(ALL_PASSED)) == []


def test_every_cell_has_a_client_a_feature_and_one_sign() -> None:
    assert not set(NOT_OFFERED) & set(CELLS)
    assert len(set(NOT_OFFERED) | set(CELLS)) == len(NOT_OFFERED) + len(CELLS)
