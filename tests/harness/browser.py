"""A real browser for the pages that people see: Debian's Chromium, driven by playwright."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MS = 15_000
# It looks nobody up on its own: there may be nobody to be reached.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def browser_path() -> str:
    """Return where the browser is; without one the test is skipped, and says what is missing."""
    path = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine, so no page was looked at: apt-get install chromium")
    return path


@contextlib.contextmanager
def open_page() -> Iterator[Page]:
    """Open an empty page in a browser that has never been anywhere; an error on a page fails the test."""
    path = browser_path()
    errors: list[str] = []
    with tempfile.TemporaryDirectory(prefix="chromium-") as folder, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=path, headless=True, args=list(QUIET), timeout=2 * TIMEOUT_MS
        )
        context.set_default_timeout(TIMEOUT_MS)
        page = context.pages[0]
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            yield page
        finally:
            context.close()
    assert errors == []
