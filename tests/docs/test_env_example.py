""".env.example names every variable that the settings read, and no other."""

import re
from pathlib import Path

from shared.core.integrations import PROVIDER_SLUGS

ROOT = Path(__file__).parents[2]
READ_BY_NAME = re.compile(r'environment(?:\.get\()?,? ?"([A-Z][A-Z_]+)"')
# What AWS Lambda or the deploy file sets, not a person.
SET_ON_AWS = re.compile(r"AWS_\w+|PARAMETERS(_PATH)?")
LISTED = re.compile(r"^([A-Z_]+)=", re.MULTILINE)


def test_the_example_names_what_the_settings_read() -> None:
    settings = "".join(path.read_text() for path in (ROOT / "shared" / "core").glob("*.py"))
    read = {name for name in READ_BY_NAME.findall(settings) if not SET_ON_AWS.fullmatch(name)}
    providers = {f"{slug.upper()}_{what}" for slug in PROVIDER_SLUGS for what in ("API_KEY", "BASE_URL")}
    assert len(read) > 5
    assert set(LISTED.findall((ROOT / ".env.example").read_text())) == read | providers
