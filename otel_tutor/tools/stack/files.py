"""Where the stack keeps files: the cache of what was built, and a folder for data."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from otel_tutor.errors import StackError

__all__ = ["cache_folder", "check_ours", "empty_dir", "writable_dir"]

_MARKER: Final = ".otel-tutor-data"
# What shows that a stack wrote in a folder: the marker, the state of one that died, the log of a native one.
_SIGNS: Final = (_MARKER, "stack.json", "logs/supervisord.log")


def cache_folder() -> Path:
    """What can be made again: built components. Shared between checkouts."""
    return user_cache_path("otel-tutor")


@contextmanager
def writable_dir(data: Path) -> Iterator[None]:
    """Make a data folder, for what is written there inside. Raises StackError with the system's reason when it cannot."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)  # traces and logs are for this user alone
        yield
    except OSError as error:
        remedy = "set OTEL_TUTOR_DATA to another folder"
        raise StackError(f"{data} cannot be used ({error.strerror or error}): {remedy}") from None


def check_ours(data: Path) -> None:
    """Raise StackError for a folder with files that no stack wrote, which therefore must not be removed."""
    with writable_dir(data):
        if any(data.iterdir()) and not any((data / sign).exists() for sign in _SIGNS):
            remedy = "move them, or set OTEL_TUTOR_DATA to another folder"
            raise StackError(f"{data} is emptied at each start and has files that otel-tutor did not write: {remedy}")


def empty_dir(data: Path) -> None:
    """Make an empty data folder, without what a stack left there. Raises StackError as `check_ours` does."""
    check_ours(data)
    with writable_dir(data):
        shutil.rmtree(data)
        data.mkdir(mode=0o700)
        (data / _MARKER).touch()
