"""Run as a script: become the given command, and have the kernel end it should the process that started it die.

A supervisor that is killed with -9 cannot stop what it started; on Linux the kernel then does. Run by path, without site
packages, it costs a few milliseconds.
"""

import ctypes
import os
import signal
import sys

__all__ = ["COMMAND", "main"]

COMMAND = (sys.executable, "-IS", __file__)  # to be put in front of a command
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask the kernel for the signal, then replace this process by the command in its arguments."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was asked
            sys.exit(1)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
