"""Where the stack's files are: the configuration that is shipped, the cache of what was built, and a folder for data."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from otel_tutor.errors import StackError
from otel_tutor.settings import configuration_folder as shipped

__all__ = ["cache_folder", "shipped", "usable"]


def cache_folder() -> Path:
    """What can be made again: built components. Shared between checkouts."""
    return user_cache_path("otel-tutor")


@contextmanager
def usable(data: Path) -> Iterator[None]:
    """Make a data folder, for what is written there inside. Raises StackError for what the system objects to."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)  # traces and logs are nobody else's
        yield
    except OSError as error:
        remedy = "set OTEL_TUTOR_DATA to another folder"
        raise StackError(f"{data} cannot be used ({error.strerror or error}): {remedy}") from None
