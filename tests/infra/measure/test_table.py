"""The table is written between its marks, and read back; ours says that chat keeps to its budget."""

from pathlib import Path

import pytest

from infra.measure.budget import MAX_CHAT_BYTES, MAX_CHAT_RATIO
from infra.measure.table import BEGIN, END, Row, read_table, write_table
from infra.package.groups import ROOT

CHAT = Row(group="chat", unzipped_mb=30.14, modules=559, import_ms=398.4, ratio=1.214)
STRIPE_WEBHOOK = Row(group="stripe_webhook", unzipped_mb=44.0, modules=700, import_ms=500.0, ratio=1.5)


def test_what_was_written_is_read_back_and_the_text_around_it_stays(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"# Gateway\n{BEGIN}an older table\n{END}## Licence\n")

    write_table(file, [CHAT, STRIPE_WEBHOOK])
    write_table(file, [CHAT, STRIPE_WEBHOOK])

    assert read_table(file) == {
        "chat": Row(group="chat", unzipped_mb=30.1, modules=559, import_ms=398.0, ratio=1.21),
        "stripe_webhook": STRIPE_WEBHOOK,
    }
    text = file.read_text()
    assert text.startswith("# Gateway\n") and text.endswith("## Licence\n")
    assert "| `chat` | 30.1 | 559 | 398 | 1.21 |" in text and text.count("`chat`") == 1
    assert "an older table" not in text


def test_a_file_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"# Gateway\n{BEGIN}")

    with pytest.raises(ValueError, match="lacks the marks"):
        write_table(file, [CHAT])

    assert file.read_text() == f"# Gateway\n{BEGIN}"


def test_the_readme_says_that_chat_keeps_to_its_budget() -> None:
    chat = read_table(ROOT / "README.md")["chat"]

    assert chat.ratio <= MAX_CHAT_RATIO
    assert chat.unzipped_mb * 1_000_000 <= MAX_CHAT_BYTES
