"""Tell which secrets of SECRET_KEY's list are still needed, with the gateway's own variables.

python -m infra.secrets

Exit status 1 when keys stand under a secret that is not in the list: nobody can use them until it is back.
"""

import asyncio
import sys
from collections.abc import Sequence

from shared.clients.database import Database
from shared.clients.http_session import open_session
from shared.core.errors import StoreUnavailable
from shared.core.settings import KeysSettings, read_environment
from shared.core.variables import SettingsError
from shared.keys.fingerprint import secret_id
from shared.keys.store import KeyStore
from shared.keys.types import SecretUse

MISSING, UNREADABLE = 1, 2
# An instance that lacks a secret refuses what stands under it: a new one is last on all before it is first on any.
NOTHING_YET = "nothing stands under it: if it is old, it may go; if it is new and every instance has it, put it first"
CAUTION = (
    "A secret that stood first within the last 24 hours still opens answers that are kept for retries: "
    "leave it until then."
)


def main() -> int:
    """Print one line for each secret and return the exit status."""
    try:
        settings = KeysSettings.read(read_environment())
        uses = asyncio.run(_count(settings))
    except (SettingsError, StoreUnavailable) as error:
        print(f"the keys cannot be counted: {error}", file=sys.stderr)
        return UNREADABLE
    names = [secret_id(secret) for secret in settings.secret_keys]
    lines, missing = describe(names, uses)
    for line in [*lines, *missing]:
        print(line)
    return MISSING if missing else 0


def describe(names: Sequence[str], uses: Sequence[SecretUse]) -> tuple[list[str], list[str]]:
    """Return a line for each secret of the list, and one for each that keys stand under and the list lacks.

    shape   names: of the secrets in their order, newest first
    """
    by_name = {use.secret_id: use for use in uses}
    lines = [
        f"{position}. {name}  {_verdict(position, by_name.get(name))}" for position, name in enumerate(names, start=1)
    ]
    missing = [
        f"-  {use.secret_id}  NOT IN THE LIST, put it back: {_counted(use)}"
        for use in uses
        if use.secret_id not in names and use.keys + use.pending > 0
    ]
    return [*lines, CAUTION] if len(names) > 1 else lines, missing


def _verdict(position: int, use: SecretUse | None) -> str:
    if position == 1:
        return f"newest: {_counted(use)}"
    if use is None:
        return NOTHING_YET
    if use.keys + use.pending > 0:
        return f"stays: {_counted(use)}; a key moves to the newest when it is used, or when it is rotated"
    prices = []
    if use.sessions:
        prices.append(f"whoever is signed in signs in anew ({use.sessions})")
    if use.people:
        prices.append(f"whoever was given something once may be given it again ({use.people})")
    return f"may go; then {', and '.join(prices)}" if prices else NOTHING_YET


def _counted(use: SecretUse | None) -> str:
    if use is None:
        return "nothing yet"
    counts = {
        "keys": use.keys,
        "sign-ins": use.sessions,
        "secrets to be collected": use.pending,
        "marks of what people were given once": use.people,
    }
    return ", ".join(f"{what}: {count}" for what, count in counts.items() if count) or "nothing"


async def _count(settings: KeysSettings) -> tuple[SecretUse, ...]:
    stores = settings.stores
    async with open_session() as session:
        return await KeyStore(Database(session, url=stores.supabase_url, key=stores.supabase_key)).count_secrets()


if __name__ == "__main__":
    sys.exit(main())
