"""What a double remembers from one start to the next, as a file of its own."""

import pickle
from pathlib import Path

from infra.local.stripe_double.world import World


class UnreadableWorld(Exception):
    """The file is not one that this double has written."""


def load_world(path: Path) -> World | None:
    """Return what was kept; None where nothing was.

    raises  UnreadableWorld
    """
    if not path.exists():
        return None
    try:
        # Ours alone, beside the database whose payments it knows.
        world = pickle.loads(path.read_bytes())
    except (AttributeError, EOFError, ImportError, TypeError, pickle.UnpicklingError) as error:
        raise UnreadableWorld(f"{path} is of another version of the Stripe double; make clean-local") from error
    if not isinstance(world, World):
        raise UnreadableWorld(f"{path} holds no world of the Stripe double; make clean-local")
    return world


def save_world(world: World, path: Path) -> None:
    """Keep all of it; a start finds this or what was kept before, never a part."""
    beside = path.with_suffix(".new")
    beside.write_bytes(pickle.dumps(world))
    beside.replace(path)
