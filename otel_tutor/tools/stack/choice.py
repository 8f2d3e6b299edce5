"""Which stack it is: processes or containers, already there or to be started."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.containers.engine import Engine, find_engine
from otel_tutor.tools.stack.containers.stack import ContainerStack
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.progress import SILENT, Progress
from otel_tutor.tools.stack.protocol import COMPOSE, NATIVE, Stack
from otel_tutor.tools.stack.state import StackState

__all__ = ["choose_stack", "requested_mode", "running_stack"]


def running_stack(data: Path) -> Stack:
    """The stack that was started on a data folder; the native one where none was, which then is not running."""
    try:
        engine = StackState(data).read().get("engine")
    except StackError:  # none was started, or what it left is damaged
        engine = None
    return ContainerStack(data, Engine(engine["program"], tuple(engine["compose"]))) if engine else NativeStack(data)


def requested_mode(option: str | None) -> str | None:
    """The mode that is asked for: by option, else by OTEL_TUTOR_MODE; None leaves it to what the machine has.

    Raises StackError for one that does not exist.
    """
    mode = option or os.environ.get("OTEL_TUTOR_MODE") or None
    if mode not in {None, NATIVE, COMPOSE}:
        raise StackError(f"OTEL_TUTOR_MODE={mode!r} does not exist: use {NATIVE} or {COMPOSE}, or unset it")
    return mode


def choose_stack(
    mode: str | None,
    data: Path,
    *,
    without: Sequence[str] = (),
    die_with_parent: bool = False,
    progress: Progress = SILENT,
    warn: Callable[[str], None],
) -> Stack:
    """The stack to start, prepared: containers where an engine answers and has the images or can get them, else processes.

    `without` are components that will not be started; processes can be made to end with this one by `die_with_parent`.
    `warn` is called with the reason when there is an engine and containers are not used all the same.
    Raises StackError where containers are asked for and cannot be had, or nothing can.
    """
    native = NativeStack(data, die_with_parent=die_with_parent)
    stack = native if mode == NATIVE else _containers(mode, data, without, progress, warn) or native
    stack.prepare(without=without, progress=progress)
    return stack


def _containers(
    mode: str | None, data: Path, without: Sequence[str], progress: Progress, warn: Callable[[str], None]
) -> Stack | None:
    progress.step("looking for a container engine")
    engine = find_engine()
    if engine is None:
        if mode == COMPOSE:
            raise StackError("no container engine with a compose answers: start Docker or Podman, or leave out --compose")
        return None
    stack = ContainerStack(data, engine)
    try:
        stack.prepare(without=without, progress=progress)
    except StackError as error:
        if mode == COMPOSE:
            raise
        warn(f"Running as processes: {error}.")
        return None
    return stack
