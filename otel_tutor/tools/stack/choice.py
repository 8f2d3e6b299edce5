"""Which stack it is: processes or containers, already there or to be started."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.containers.engine import Engine, find_engine
from otel_tutor.tools.stack.containers.stack import ContainerStack
from otel_tutor.tools.stack.native.stack import Stack
from otel_tutor.tools.stack.state import Record

__all__ = ["COMPOSE", "NATIVE", "AnyStack", "choose_stack", "current", "requested"]

NATIVE: Final = "native"
COMPOSE: Final = "compose"

AnyStack = Stack | ContainerStack


def current(data: Path) -> AnyStack:
    """What was started on a data folder; where nothing was, the native stack, which can tell."""
    try:
        engine = Record(data).read().get("engine")
    except StackError:  # none was started, or what it left is damaged
        engine = None
    return ContainerStack(data, Engine(engine["program"], tuple(engine["compose"]))) if engine else Stack(data)


def requested(option: str | None) -> str | None:
    """The mode that is asked for: by option, else by OTEL_TUTOR_MODE; None leaves it to what the machine has.

    Raises StackError for one that does not exist.
    """
    mode = option or os.environ.get("OTEL_TUTOR_MODE") or None
    if mode not in {None, NATIVE, COMPOSE}:
        raise StackError(f"OTEL_TUTOR_MODE={mode!r} does not exist: use {NATIVE} or {COMPOSE}, or unset it")
    return mode


def choose_stack(
    mode: str | None, data: Path, *, without: Sequence[str] = (), tell: Callable[[str], None], say: Callable[[str], None]
) -> AnyStack:
    """The stack to start: containers where an engine answers and has the images or can get them, else processes.

    `without` are services that will not be started; `tell` hears what is done, `say` why containers are not used although
    an engine is there. Raises StackError where containers are asked for and cannot be had.
    """
    if mode == NATIVE:
        return Stack(data)
    engine = find_engine()
    if engine is None:
        if mode == COMPOSE:
            raise StackError("no container engine with a compose answers: start Docker or Podman, or leave out --compose")
        return Stack(data)
    stack = ContainerStack(data, engine)
    try:
        stack.provide(without=without, tell=tell)
    except StackError as error:
        if mode == COMPOSE:
            raise
        say(f"Running as processes: {error}.")
        return Stack(data)
    return stack
