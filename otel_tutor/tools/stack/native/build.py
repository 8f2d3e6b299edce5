"""Components as binaries: from PATH, else from the cache, else built from their pinned Go modules."""

import contextlib
import errno
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from filelock import FileLock

from otel_tutor.errors import BuildError
from otel_tutor.tools.stack.components import MODULES, Module
from otel_tutor.tools.stack.native.builder import ComponentBuilder, cache_entry
from otel_tutor.tools.stack.native.toolchain import find_go
from otel_tutor.tools.stack.progress import Progress

__all__ = ["Binaries", "available", "cached", "on_path", "provide"]

Binaries = Mapping[str, Path]

_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")


def provide(shipped: Path, cache: Path, progress: Progress) -> dict[str, Path]:
    """Every binary of the stack by name, building what is missing. Raises BuildError."""
    binaries, missing = available(shipped, cache)
    if missing:
        with _disk_errors(cache), _alone(cache):
            builder = ComponentBuilder(shipped, cache, find_go(cache), progress)
            for module in missing:
                # Another checkout may have built it while we waited.
                binaries.update(cached(module, shipped, cache) or builder.build(module))
            builder.clear()
    return binaries


def available(shipped: Path, cache: Path) -> tuple[dict[str, Path], list[Module]]:
    """The binaries that are on PATH or in the cache, by name, and the modules that have to be built."""
    binaries: dict[str, Path] = {}
    missing = []
    for module in MODULES:
        if present := on_path(module) or cached(module, shipped, cache):
            binaries.update(present)
        else:
            missing.append(module)
    return binaries, missing


def on_path(module: Module) -> dict[str, Path] | None:
    """The module's binaries on PATH, if all are there and the program's version serves."""
    program = next(filter(None, map(shutil.which, module.on_path)), None)
    tools = {name: shutil.which(name) for name in module.binaries if name != module.program}
    if program is None or None in tools.values():
        return None
    try:
        answer = subprocess.run([program, module.version_flag], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):  # of another architecture, say
        return None
    version = _VERSION.search(answer.stdout + answer.stderr)
    if version is None or (int(version[1]), int(version[2])) < module.oldest:
        return None
    return {module.program: Path(program), **{name: Path(path) for name, path in tools.items() if path}}


def cached(module: Module, shipped: Path, cache: Path) -> dict[str, Path] | None:
    """The module's binaries in the cache, if they were built from the pins of today."""
    folder = cache_entry(module, shipped, cache)
    binaries = {name: folder / name for name in module.binaries}
    return binaries if all(path.is_file() for path in binaries.values()) else None


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One build at a time on this machine: a second one waits and then finds the results in the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "build.lock"):
        yield


@contextlib.contextmanager
def _disk_errors(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise BuildError(f"the disk of {cache} is full: free 6 GB, or set XDG_CACHE_HOME to a larger one") from None
        raise BuildError(
            f"{cache} cannot be used ({error.strerror}): set XDG_CACHE_HOME to a folder you can write"
        ) from None
