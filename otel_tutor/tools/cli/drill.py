"""`otel-tutor drill`: a real fault makes an alert fire, and the end of the fault makes it resolve."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Console

from otel_tutor.errors import OtelTutorError, StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.demo import check_extra
from otel_tutor.tools.cli.options import port_option
from otel_tutor.tools.cli.progress import Display
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.stack.files import empty_dir
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

if TYPE_CHECKING:
    from otel_tutor.tools.exercise.drills import Outcome

__all__ = ["drill"]


@click.command(epilog="Example: otel-tutor drill HighErrorRate; all of them: otel-tutor drill all")
@click.argument("names", nargs=-1, metavar="ALERT...|all")
@port_option
def drill(names: tuple[str, ...], ports: Mapping[str, int]) -> None:
    """Start a separate demo, cause a fault, wait for the alert, end the fault, wait for the alert to resolve.

    Without a name, lists the drills. In a drill, `for` durations are divided by 30, warnings are grouped for 5 s, and the
    half hour of NoStudentActivity is a minute. A drill takes two to six minutes.
    """
    check_extra()
    from otel_tutor.tools.exercise.drills import DRILLS, not_drilled

    console = Console(soft_wrap=True, highlight=False)
    if not names:
        for possible in DRILLS.values():
            console.print(f"{possible.alert:<24} {possible.fault}")
        for name, reason in not_drilled().items():
            console.print(f"{name:<24} no drill: {reason}")
        return
    chosen = list(DRILLS) if names == ("all",) else list(names)
    for name in chosen:
        if name not in DRILLS:
            excuse = not_drilled().get(name)
            why = f"has no drill: {excuse}" if excuse else "is no alert with a drill"
            raise click.UsageError(f"{name} {why}; `otel-tutor drill` lists the drills")
    _drill_all(console, chosen, choose_ports(ports))


def _drill_all(console: Console, names: Sequence[str], ports: Ports) -> None:
    from otel_tutor.tools.exercise.drills import DRILLS

    stack = NativeStack(data_folder() / "drill", die_with_parent=True)
    if stack.is_running():
        raise StackError("a drill is running already: stop it with Ctrl-C where it was started")
    with Display(console) as progress:
        stack.prepare(progress=progress)
    console.print("| alert | fault | fires after | resolves after | other alerts |")
    console.print("|---|---|---|---|---|")
    failed = []
    for name in names:
        outcome = _run(console, stack, ports, name)
        times = ["never" if seconds is None else f"{seconds:.0f} s" for seconds in (outcome.detected, outcome.resolved)]
        console.print(f"| {name} | {DRILLS[name].fault} | {' | '.join(times)} | {', '.join(outcome.others) or '-'} |")
        if "never" in times:
            failed.append(name)
    if failed:
        raise OtelTutorError(f"did not fire and resolve: {', '.join(failed)}")


def _run(console: Console, stack: NativeStack, ports: Ports, name: str) -> "Outcome":
    from otel_tutor.tools.exercise.drills import DRILLS, run_drill
    from otel_tutor.tools.exercise.environment import DrillEnvironment, shorten_timers, students

    empty_dir(stack.data)  # what an earlier fault did is in no rate, and in no budget
    try:
        with Display(console) as progress:
            stack.up(ports, without=["grafana"], edit=shorten_timers, progress=progress)
            with students(f"http://{LOOPBACK}:{ports['app']}") as load:
                environment = DrillEnvironment(stack, ports, load)
                return run_drill(DRILLS[name], environment, on_progress=lambda what: progress.step(f"{name}: {what}"))
    finally:
        stack.down()
