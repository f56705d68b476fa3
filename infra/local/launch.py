"""Become a program that ends when the one who started it ends.

    python -I -S launch.py <signal> <parent pid> <program> <arguments…>

Run by path, so that it costs milliseconds and needs no package. Linux only; elsewhere the next start ends what was
left behind.
"""

import ctypes
import os
import sys

# The number that linux/prctl.h gives to the wish of prctl(2).
PR_SET_PDEATHSIG = 1


def main(signal_number: int, parent_pid: int, command: list[str]) -> None:
    """Ask the kernel for the signal at the parent's death, then become the program.

    raises  SystemExit when the parent died before we asked; OSError when the program cannot be started
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent_pid:
            raise SystemExit(0)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
