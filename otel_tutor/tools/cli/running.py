"""The stack that a command is about, and its ports."""

from collections.abc import Sequence

from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.stack.choice import AnyStack, current
from otel_tutor.tools.stack.components import BY_NAME
from otel_tutor.tools.stack.containers.compose import environment
from otel_tutor.tools.stack.ports import Ports, choose, page_url
from otel_tutor.tools.stack.project import configured
from otel_tutor.tools.stack.status import answers

__all__ = ["choose_ports", "running_ports", "running_stack"]


def choose_ports(overrides: Sequence[str] = ()) -> dict[str, int]:
    """The ports to use: `NAME=NUMBER` first, then the environment, then the project's .env, then the defaults."""
    return choose(overrides, environment(configured()))


def running_stack() -> AnyStack:
    """The stack of this user, else the demo's. Raises StackError when neither runs."""
    for data in (data_folder(), data_folder() / "demo"):
        if (stack := current(data)).is_running():
            return stack
    raise StackError("the stack is not running: start it with `otel-tutor up`, or `otel-tutor demo`")


def running_ports() -> Ports:
    """The ports of the running stack; where `docker compose up` started it, those of the environment.

    Raises StackError when no Prometheus answers there either.
    """
    try:
        return running_stack().record.ports
    except StackError:
        ports = choose_ports()
        if answers(page_url(BY_NAME["prometheus"].ready, ports)):
            return ports
        raise
