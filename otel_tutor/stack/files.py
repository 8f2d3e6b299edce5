"""Where the stack's files are: the configuration that is shipped, and the cache."""

import shutil
from pathlib import Path
from typing import Final

import platformdirs
import yaml

from otel_tutor.errors import StackError

__all__ = ["cache_folder", "check_yaml", "copy_configuration", "shipped"]

_PACKAGE: Final = Path(__file__).parent.parent
_FOLDERS: Final = ("collector", "alerts")


def shipped() -> Path:
    """The folder with `collector/` and `alerts/`: the checkout, else what was installed with the package."""
    checkout = _PACKAGE.parent
    return checkout if (checkout / "collector" / "config.yaml").is_file() else _PACKAGE / "share"


def cache_folder() -> Path:
    """What can be made again: built components. Shared between checkouts."""
    return platformdirs.user_cache_path("otel-tutor")


def check_yaml(source: Path) -> None:
    """Parse every YAML file of the configuration. Raises StackError with file and line of the first mistake."""
    for folder in _FOLDERS:
        for path in sorted((source / folder).rglob("*.yaml")):
            try:
                yaml.safe_load(path.read_text(encoding="utf-8"))
            except yaml.MarkedYAMLError as error:
                line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
                raise StackError(f"{path}{line}: not valid YAML: {error.problem}; mend that line") from None
            except (OSError, UnicodeError, yaml.YAMLError) as error:
                raise StackError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


def copy_configuration(source: Path, target: Path) -> None:
    """Put a fresh copy of the shipped configuration, without the build recipes, where the components read it."""
    for folder in _FOLDERS:
        shutil.rmtree(target / folder, ignore_errors=True)
        shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns("build", "runbooks"))
