"""The providers' lists as they document them; each file names its source."""

from pathlib import Path

FOLDER = Path(__file__).parent / "samples"


def sample(provider: str) -> bytes:
    """Return a provider's list."""
    return (FOLDER / f"{provider}.json").read_bytes()
