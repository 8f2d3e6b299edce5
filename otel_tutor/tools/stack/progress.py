"""How preparing and starting a stack reports what it does."""

from typing import Final

from otel_tutor.tools.stack.components import Module

__all__ = ["SILENT", "Progress"]


class Progress:
    """Shows what is done for a stack, and how far a build is. This one shows nothing."""

    def step(self, what: str) -> None:
        """This is done now, e.g. `starting prometheus`."""

    def fetching(self, module: Module) -> None:
        """The module's sources are being downloaded."""

    def compiling(self, module: Module, packages: int) -> None:
        """So many Go packages are about to be compiled, one after the other."""

    def compiled(self, module: Module) -> None:
        """One more package is done."""

    def built(self, module: Module, seconds: float) -> None:
        """The module's binaries are in the cache."""


SILENT: Final = Progress()
