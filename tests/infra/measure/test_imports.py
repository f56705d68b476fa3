"""An import is measured alone: in a fresh interpreter, from nothing but its folders."""

from pathlib import Path

import pytest

from infra.measure.imports import Import, ImportCost, ImportFailed, run_import, typical_ratio


def test_only_the_given_folders_are_seen(tmp_path: Path) -> None:
    (tmp_path / "function.py").write_text("import fastapi")

    with pytest.raises(ImportFailed, match="No module named 'fastapi'"):
        run_import(Import(("function",), (tmp_path,)))


def test_the_work_of_an_import_is_counted_and_what_it_loads(tmp_path: Path) -> None:
    (tmp_path / "idle.py").write_text("import time\ntime.sleep(0.3)")
    (tmp_path / "busy.py").write_text("import time, needed\nwhile time.process_time() < 0.3: pass")
    (tmp_path / "needed.py").touch()

    idle, busy = (run_import(Import((name,), (tmp_path,))) for name in ("idle", "busy"))

    assert idle.cpu_s < 0.15 < busy.cpu_s
    assert {"busy", "needed"} <= set(busy.loaded)


def test_one_disturbed_round_does_not_change_the_ratio() -> None:
    costs, baseline = ([ImportCost(cpu_s, ()) for cpu_s in runs] for runs in ((0.3, 9.0, 0.6), (0.2, 0.2, 0.4)))

    assert typical_ratio(costs, baseline) == pytest.approx(1.5)
