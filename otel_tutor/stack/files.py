"""Where the stack's files are: the configuration that is shipped, and the cache of what was built."""

from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

__all__ = ["cache_folder", "shipped"]

_PACKAGE: Final = Path(__file__).parent.parent


def shipped() -> Path:
    """The folder with `collector/` and `alerts/`: the checkout, else what was installed with the package."""
    checkout = _PACKAGE.parent
    return checkout if (checkout / "collector" / "config.yaml").is_file() else _PACKAGE / "share"


def cache_folder() -> Path:
    """What can be made again: built components. Shared between checkouts."""
    return user_cache_path("otel-tutor")
