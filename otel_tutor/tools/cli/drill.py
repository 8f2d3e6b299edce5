"""`otel-tutor drill`: an alert is seen to fire and to resolve, by a fault that is really there."""

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Console

from otel_tutor.errors import OtelTutorError, StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.demo import check_extra
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.cli.stack import binaries, port_option
from otel_tutor.tools.exercise.tutor_program import tutor_program
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import Stack
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

if TYPE_CHECKING:
    from otel_tutor.tools.exercise.drills import Outcome

__all__ = ["drill"]


@click.command(
    epilog="Example: otel-tutor drill HighErrorRate; all of them: otel-tutor drill all",
    short_help="See an alert fire and resolve, by a fault that is real.",
)
@click.argument("names", nargs=-1, metavar="ALERT...|all")
@port_option
def drill(names: tuple[str, ...], ports: tuple[str, ...]) -> None:
    """Cause a fault on a demo of its own, wait for the alert, end the fault, wait for the resolve.

    Without a name, the drills there are. Only here, each `for` is a thirtieth of what it is, the grouping of warnings 5 s,
    and NoStudentActivity's half hour a minute. A drill takes two to six minutes.
    """
    check_extra()
    from otel_tutor.tools.exercise.drills import DRILLS, not_drilled

    console = Console(soft_wrap=True, highlight=False)
    if not names:
        for one in DRILLS.values():
            console.print(f"{one.alert:<24} {one.fault}")
        for name, reason in not_drilled().items():
            console.print(f"{name:<24} no drill: {reason}")
        return
    chosen = list(DRILLS) if names == ("all",) else list(names)
    for name in chosen:
        if name not in DRILLS:
            why = not_drilled().get(name)
            said = f"is not drilled: {why}" if why else "is no alert with a drill"
            raise StackError(f"{name} {said}; `otel-tutor drill` lists those there are")
    _drill_all(console, chosen, choose_ports(ports))


def _drill_all(console: Console, names: Sequence[str], ports: Ports) -> None:
    from otel_tutor.tools.exercise.drills import DRILLS

    stack = Stack(data_folder() / "drill")
    if stack.is_running():
        raise StackError("a drill is running already: stop it with Ctrl-C where it was started")
    found = binaries(console)
    console.print("| alert | fault | fires after | resolves after | told besides |")
    console.print("|---|---|---|---|---|")
    failed = []
    for name in names:
        outcome = _run(console, stack, found, ports, name)
        times = ["never" if one is None else f"{one:.0f} s" for one in (outcome.detected, outcome.resolved)]
        console.print(f"| {name} | {DRILLS[name].fault} | {' | '.join(times)} | {', '.join(outcome.others) or '-'} |")
        if "never" in times:
            failed.append(name)
    if failed:
        raise OtelTutorError(f"did not fire and resolve: {', '.join(failed)}")


def _run(console: Console, stack: Stack, found: Binaries, ports: Ports, name: str) -> "Outcome":
    from otel_tutor.tools.exercise.drills import DRILLS, run_drill
    from otel_tutor.tools.exercise.environment import Site, shorten, students

    shutil.rmtree(stack.data, ignore_errors=True)  # what an earlier fault did is in no rate, and in no budget
    try:
        with console.status(f"{name}: starting") as shown:
            program = tutor_program(stack.data, ports)
            stack.up(found, ports, extra=[program], leashed=True, prepare=shorten)
            with students(f"http://{LOOPBACK}:{ports['app']}") as load:
                site = Site(stack, ports, load)
                return run_drill(DRILLS[name], site, tell=lambda what: shown.update(f"{name}: {what}"))
    finally:
        stack.down()
