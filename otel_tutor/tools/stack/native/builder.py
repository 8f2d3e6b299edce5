"""Builds a component from its pinned Go module, and says why when it cannot."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_tutor.errors import BuildError
from otel_tutor.tools.stack.components import BUILDER, Module
from otel_tutor.tools.stack.native.die_with_parent import COMMAND as DIE_WITH_PARENT
from otel_tutor.tools.stack.progress import Progress

__all__ = ["ComponentBuilder", "cache_entry"]

_MODULES: Final = Path("collector/build")


def cache_entry(module: Module, shipped: Path, cache: Path) -> Path:
    """Where a module's binaries are cached: the name says the version and, hashed, everything they are built from."""
    recipe = (module.version, dict(module.binaries), module.tags, module.version_variable)
    pins = hashlib.sha256(repr(recipe).encode())
    sources = [shipped / _MODULES / module.name / name for name in ("go.mod", "go.sum")]
    if module.name == "collector":
        sources.append(shipped / "collector" / "builder.yaml")
    for source in sources:
        pins.update(source.read_bytes())
    return cache / "bin" / f"{module.name}-{module.version}-{pins.hexdigest()[:12]}"


@dataclass(frozen=True)
class ComponentBuilder:
    """Where components are built; sources and intermediate results are thrown away at the end."""

    shipped: Path
    cache: Path
    go: Path
    progress: Progress

    @property
    def scratch(self) -> Path:
        """The folder of sources and intermediate results."""
        return self.cache / "build"

    def build(self, module: Module) -> dict[str, Path]:
        """Build every binary of a module into its place in the cache. Raises BuildError."""
        start = time.monotonic()
        target = cache_entry(module, self.shipped, self.cache)
        unfinished = target.with_name(target.name + ".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        folder = self.sources(module)
        tags = ["-tags", module.tags] if module.tags else []
        packages = list(module.binaries.values())
        self.progress.fetching(module)
        listed = self._go(module, folder, "list", *tags, "-deps", *packages)
        self.progress.compiling(module, len(listed.splitlines()))
        flags = "-s -w"  # no symbol tables: a third smaller
        if module.version_variable:
            flags += f" -X {module.version_variable}={module.version}"
        for name, package in module.binaries.items():
            command = ("build", "-v", "-trimpath", *tags, "-ldflags", flags, "-o", str(unfinished / name), package)
            self._go(module, folder, *command, each_line=lambda: self.progress.compiled(module))
        unfinished.rename(target)
        self.progress.built(module, time.monotonic() - start)
        return {name: target / name for name in module.binaries}

    def clear(self) -> None:
        """Throw away sources and intermediate results; after a failure they are kept, and the next build is shorter."""
        # Go keeps downloaded modules read-only.
        for folder, _, _ in os.walk(self.scratch):
            Path(folder).chmod(0o755)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def sources(self, module: Module) -> Path:
        """A folder with the module's sources, ready to be built; the Collector's is generated there."""
        folder = self.scratch / module.name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.shipped / _MODULES / module.name, folder)
        if module.name == "collector":
            self._generate(module, folder)
        return folder

    def _generate(self, module: Module, folder: Path) -> None:
        """Have the Collector's builder write the sources that its go.mod and go.sum wait for."""
        builder = self.scratch / "bin" / "builder"
        home = self.scratch / BUILDER.name
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.shipped / _MODULES / BUILDER.name, home)
        self.progress.fetching(BUILDER)
        self._go(BUILDER, home, "build", "-trimpath", "-o", str(builder), BUILDER.binaries["builder"])
        manifest = self.shipped / "collector" / "builder.yaml"
        command = [str(builder), "--config", str(manifest), "--skip-get-modules", "--skip-compilation"]
        self._execute(module, folder, command)

    def _go(self, module: Module, folder: Path, *arguments: str, each_line: Callable[[], None] | None = None) -> str:
        return self._execute(module, folder, [str(self.go), *arguments], each_line)

    def _execute(self, module: Module, folder: Path, command: list[str], each_line: Callable[[], None] | None = None) -> str:
        log = self.cache / "logs" / f"{module.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as errors:
            errors.write(f"$ cd {folder} && {' '.join(command)}\n")
            errors.flush()
            process = subprocess.Popen(
                [*DIE_WITH_PARENT, *command],  # a build ends with the process that started it
                cwd=folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if each_line else errors,
                text=True,
            )
            output = []
            with process:
                try:
                    for line in process.stdout or ():
                        output.append(line)
                        if each_line:
                            errors.write(line)
                            each_line()
                except BaseException:  # Ctrl-C above all: leaving the block waits for the process
                    process.terminate()
                    raise
        if process.returncode:
            raise BuildError(_explain(module, command, process.returncode, log))
        return "".join(output)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly -buildvcs=false",
            "GOWORK": "off",
            "GOPATH": str(self.scratch / "go"),
            "GOMODCACHE": str(self.scratch / "go" / "mod"),
            "GOCACHE": str(self.scratch / "go" / "cache"),
            "TMPDIR": str(self.scratch),  # what Go and the Collector's builder leave behind is removed with the rest
            "PATH": f"{self.go.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }


_CAUSES: Final = {
    "no space left on device": "the disk is full: free 6 GB, or set XDG_CACHE_HOME to a larger one",
    "dial tcp": "the Go module proxy cannot be reached: check the network and GOPROXY",
    "i/o timeout": "the Go module proxy does not answer: check the network and GOPROXY",
    "GOPROXY=off": "GOPROXY is off: set it to a module proxy",
    "checksum mismatch": "a module is not what go.sum pins: the module proxy or go.sum was changed",
    "signal: killed": "the compiler was killed, most likely for want of memory: free 3 GB",
}


def _explain(module: Module, command: list[str], code: int, log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").rpartition("$ cd ")[2]  # what the last command said
    cause = next((remedy for sign, remedy in _CAUSES.items() if sign in text), "the log says why")
    words = " ".join([Path(command[0]).name, *command[1:]])
    return f"building {module.name} {module.version} failed: {cause} (`{words}` exited {code}; log: {log})"
