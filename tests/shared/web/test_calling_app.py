"""The app that a request names, as it may be shown to everybody."""

import pytest
from starlette.datastructures import Headers

from shared.core.caller import CallingApp
from shared.web.calling_app import MAX_TITLE_LENGTH, MAX_URL_LENGTH, read_calling_app


def app_of(*, referer: str | None = None, **titles: str) -> CallingApp | None:
    given = {name.replace("_", "-"): title for name, title in titles.items()}
    return read_calling_app(Headers({**({} if referer is None else {"HTTP-Referer": referer}), **given}))


@pytest.mark.parametrize(
    ("referer", "url"),
    [
        ("https://app.example", "https://app.example"),
        ("http://App.Example/", "https://app.example"),
        ("https://app.example.:8443/", "https://app.example"),
        ("https://github.example/someone/their-app/", "https://github.example"),
        # Who was there, and what he looked for, is nobody's business.
        ("https://app.example/chat?user=jane@doe.example#token=abc", "https://app.example"),
        ("https://jane:secret@app.example/", "https://app.example"),
        ("https://app.example/<script>/\xfc", "https://app.example"),
        (f"https://app.example/{'a' * MAX_URL_LENGTH}", "https://app.example"),
    ],
)
def test_an_app_is_known_by_its_address_without_what_tells_of_a_visitor(referer: str, url: str) -> None:
    assert app_of(referer=referer) == CallingApp(url=url, title=None)


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "app.example",
        "javascript:alert(1)",
        "ftp://app.example",
        "https://",
        "https://localhost:3000",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[",
        "https://intranet/",
        "https://app..example",
        "https://-app.example",
        f"https://{'a.' * MAX_URL_LENGTH}example",
    ],
)
def test_what_is_no_public_web_address_names_no_app(referer: str) -> None:
    assert app_of(referer=referer, x_title="A Title") is None


def test_a_title_alone_names_no_app() -> None:
    assert app_of(x_title="A Title") is None


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("A Title", "A Title"),
        ("  A\t Title\x00 \x1b[31m ", "A Title [31m"),
        # Sent as UTF-8, read as Latin-1.
        ("Grüße 🦙".encode().decode("latin-1"), "Grüße 🦙"),
        ("Gr\xfc\xdfe", "Grüße"),
        # What turns the direction of the text around.
        ("safe\u202efdp.exe".encode().decode("latin-1"), "safe fdp.exe"),
        ("x" * 500, "x" * MAX_TITLE_LENGTH),
        ("   ", None),
    ],
)
def test_a_title_is_one_printable_line(sent: str, shown: str | None) -> None:
    assert app_of(referer="https://app.example", x_title=sent) == CallingApp(url="https://app.example", title=shown)


def test_the_newer_name_of_the_title_is_read_where_the_older_is_not_sent() -> None:
    app = app_of(referer="https://app.example", x_openrouter_title="New")
    assert app == CallingApp(url="https://app.example", title="New")
    app = app_of(referer="https://app.example", x_title="Old", x_openrouter_title="New")
    assert app == CallingApp(url="https://app.example", title="Old")
