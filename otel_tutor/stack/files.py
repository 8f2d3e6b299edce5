"""Where the stack's files are: the configuration that is shipped, and the cache of what was built."""

from pathlib import Path

from platformdirs import user_cache_path

from otel_tutor.settings import configuration_folder as shipped

__all__ = ["cache_folder", "shipped"]


def cache_folder() -> Path:
    """What can be made again: built components. Shared between checkouts."""
    return user_cache_path("otel-tutor")
