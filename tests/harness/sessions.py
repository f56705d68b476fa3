"""Which folder a test session takes: sessions of one checkout may run at the same time."""

from pathlib import Path

from infra.local.processes import StackError
from infra.local.stack import LocalStack

MAX_SESSIONS = 16


def take_free_stack(folder: Path) -> LocalStack:
    """Return a stack, not started, in the first folder that no other session has.

    raises  StackError when all are taken
    """
    for number in range(1, MAX_SESSIONS + 1):
        stack = LocalStack(folder / str(number), keeps_data=False)
        try:
            stack.take_folder()
        except StackError:
            continue
        return stack
    raise StackError(f"{MAX_SESSIONS} test sessions are already running in this checkout")
