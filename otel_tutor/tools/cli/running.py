"""The stack that a command is about, and its ports."""

from collections.abc import Mapping

from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.stack.choice import running_stack
from otel_tutor.tools.stack.components import BY_NAME
from otel_tutor.tools.stack.containers.compose import environment
from otel_tutor.tools.stack.ports import Ports, choose, page_url
from otel_tutor.tools.stack.project import active_config_dir
from otel_tutor.tools.stack.protocol import Stack
from otel_tutor.tools.stack.readiness import answers

__all__ = ["choose_ports", "find_running_stack", "running_ports"]


def choose_ports(overrides: Mapping[str, int] | None = None) -> dict[str, int]:
    """The ports to use: overrides first, then the environment, then the project's .env, then the defaults."""
    return choose(overrides or {}, environment(active_config_dir()))


def find_running_stack() -> Stack:
    """The stack of this user, else the demo's. Raises StackError when neither runs."""
    for data in (data_folder(), data_folder() / "demo"):
        if (stack := running_stack(data)).is_running():
            return stack
    raise StackError("the stack is not running: start it with `otel-tutor up`, or `otel-tutor demo`")


def running_ports() -> Ports:
    """The ports of the running stack; where `docker compose up` started it, those of the environment.

    Raises StackError when no Prometheus answers there either.
    """
    try:
        return find_running_stack().state.ports
    except StackError:
        ports = choose_ports()
        if answers(page_url(BY_NAME["prometheus"].ready, ports)):
            return ports
        raise
