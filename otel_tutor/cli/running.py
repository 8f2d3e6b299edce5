"""The stack that a command is about, when it is not the one to be started."""

from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.stack.choice import AnyStack, current
from otel_tutor.stack.compose import environment
from otel_tutor.stack.ports import LOOPBACK, Ports, choose
from otel_tutor.stack.project import configured
from otel_tutor.stack.status import answers

__all__ = ["running_ports", "running_stack"]


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
        ports = choose(environ=environment(configured()))
        if answers(f"http://{LOOPBACK}:{ports['prometheus']}/-/ready"):
            return ports
        raise
