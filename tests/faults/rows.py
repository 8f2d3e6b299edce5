"""The faults, a row each: what is done while the load goes on."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.scene import GUNICORN, UVICORN, Scene

__all__ = ["NOT_RUN", "ROWS", "SHORT", "Row"]

Act = Callable[[Scene], None]


def _nothing(_: Scene) -> None:
    """No fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault: `before` the app starts, `act` while it serves (until the fault is over), and how the app is served."""

    name: str
    fault: str
    act: Act = _nothing
    before: Act = _nothing
    server: Sequence[str] = UVICORN
    prefix: Sequence[str] = ()  # of the app's command
    warm: float = 15.0  # seconds of load before the fault
    after: float = 20.0  # seconds of load once the fault is over
    speaks: bool = True  # the process that began the load is there at its end, and says what it has counted
    disk: str = ""  # the component whose data are on a small disk; it takes root, and a stack for this row alone


def away(name: str, seconds: float) -> Act:
    """A component is stopped, and started again."""

    def act(scene: Scene) -> None:
        scene.stop(name)
        time.sleep(seconds)
        scene.start(name)

    return act


def killed(name: str) -> Act:
    """A component is killed; supervisord starts it again."""
    return lambda scene: scene.component(name).send_signal(signal.SIGKILL)


def killed_and_away(name: str, seconds: float) -> Act:
    """A component is killed, and stays away for a while."""

    def act(scene: Scene) -> None:
        process = scene.component(name)
        process.send_signal(signal.SIGKILL)
        scene.stop(name)
        time.sleep(seconds)
        scene.start(name)

    return act


def frozen(name: str, seconds: float) -> Act:
    """A component is stopped in its tracks, and goes on later."""

    def act(scene: Scene) -> None:
        process = scene.component(name)
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    return act


def _late(scene: Scene) -> None:
    scene.stop("collector")


def _arrives_late(scene: Scene) -> None:
    time.sleep(15)  # with those before the fault, 30 s
    scene.start("collector")


def network(mode: str, seconds: float) -> Act:
    """The network to the Collector is bad for a while; see proxy.py."""

    def act(scene: Scene) -> None:
        scene.network(mode)
        time.sleep(seconds)
        scene.network("pass")

    return act


def _through_proxy(scene: Scene) -> None:
    scene.start_proxy()


def disk_full(seconds: float) -> Act:
    """What is left of a component's small disk is taken, and given back."""

    def act(scene: Scene) -> None:
        scene.fill_disk()
        time.sleep(seconds)
        scene.free_disk()

    return act


def _restarted(scene: Scene) -> None:
    scene.edit("collector/config.yaml", "flush_timeout: 200ms", "flush_timeout: 300ms")
    scene.stop("collector")
    scene.start("collector")


def _refusing(scene: Scene) -> None:
    limits = "limit_mib: 512\n    spike_limit_mib: 128"
    scene.edit("collector/config.yaml", limits, "limit_mib: 2\n    spike_limit_mib: 1")
    scene.stop("collector")
    scene.start("collector")
    time.sleep(30)
    scene.edit("collector/config.yaml", "limit_mib: 2\n    spike_limit_mib: 1", limits)
    scene.stop("collector")
    scene.start("collector")


def ended(how: signal.Signals) -> Act:
    """The app is ended, and started again."""

    def act(scene: Scene) -> None:
        scene.end_app(how)
        scene.start_app()

    return act


def _blocked(scene: Scene) -> None:
    scene.ask("/block?seconds=10")


def _forked(scene: Scene) -> None:
    for _ in range(3):
        scene.ask("/fork", seconds=30)


def _left_in_thread(scene: Scene) -> None:
    scene.ask("/exit")
    scene.processes[-1].wait(30)
    scene.start_app()


_EVERY: Final = (
    Row(name="baseline", fault="none"),
    Row(name="collector-down60", fault="the Collector is away for 60 s", act=away("collector", 60)),
    Row(
        name="gunicorn-recycle",
        speaks=False,
        fault="two workers, each replaced after 150 requests",
        server=(*GUNICORN[:-1], "--workers=2", "--max-requests=150", GUNICORN[-1]),
    ),
    Row(
        name="gunicorn-recycle1",
        speaks=False,
        fault="one worker, replaced after 300 requests",
        server=(*GUNICORN[:-1], "--workers=1", "--max-requests=300", GUNICORN[-1]),
    ),
    Row(
        name="gunicorn-recycle-fast",
        speaks=False,
        fault="one worker, replaced after 100 requests: each lives for less than 2 s",
        server=(*GUNICORN[:-1], "--workers=1", "--max-requests=100", GUNICORN[-1]),
    ),
    Row(
        name="collector-late",
        fault="the Collector starts 30 s after the app",
        before=_late,
        act=_arrives_late,
    ),
    Row(name="collector-kill9", fault="the Collector is killed and starts again", act=killed("collector")),
    Row(name="collector-term", fault="the Collector is stopped and starts again", act=away("collector", 0)),
    Row(name="collector-edit", fault="the Collector starts again with another configuration", act=_restarted),
    Row(name="collector-stop30", fault="the Collector is frozen for 30 s", act=frozen("collector", 30)),
    Row(name="collector-refusing", fault="the Collector refuses for 30 s: its memory limit", act=_refusing),
    *(
        Row(
            name=f"network-{mode}",
            fault=f"the network to the Collector: {what}, for 30 s",
            before=_through_proxy,
            act=network(mode, 30),
        )
        for mode, what in (
            ("hole", "a black hole"),
            ("slow", "2 s each way"),
            ("lossy", "a fifth of it comes late"),
            ("reset", "connections are reset"),
        )
    ),
    *(
        Row(name=f"{name}-disk", fault=f"the disk of {what} is full for 40 s", act=disk_full(40), disk=name)
        for name, what in (("collector", "the Collector"), ("jaeger", "Jaeger"), ("victorialogs", "VictoriaLogs"))
    ),
    Row(name="prometheus-down60", fault="Prometheus is away for 60 s", act=away("prometheus", 60)),
    Row(name="jaeger-down60", fault="Jaeger is killed and away for 60 s", act=killed_and_away("jaeger", 60)),
    Row(
        name="victorialogs-down60",
        fault="VictoriaLogs is killed and away for 60 s",
        act=killed_and_away("victorialogs", 60),
    ),
    Row(name="alertmanager-down60", fault="Alertmanager is away for 60 s", act=away("alertmanager", 60)),
    Row(name="app-term", fault="the app is ended by SIGTERM and starts again", act=ended(signal.SIGTERM), speaks=False),
    Row(name="app-int", fault="the app is ended by SIGINT and starts again", act=ended(signal.SIGINT), speaks=False),
    Row(name="app-kill9", fault="the app is killed and starts again", act=ended(signal.SIGKILL), speaks=False),
    Row(
        name="app-ulimit64",
        fault="the app may open 64 files",
        prefix=("bash", "-c", 'ulimit -n 64; exec "$@"', "app"),
    ),
    Row(name="app-block10", fault="the event loop is blocked for 10 s", act=_blocked),
    Row(name="app-fork", fault="three forked children work and end", act=_forked, speaks=False),
    Row(name="app-exit-thread", fault="a thread ends the process", act=_left_in_thread, speaks=False),
)
# Those of `make test`
SHORT: Final = (
    Row(name="short-away", fault="the Collector is away for 8 s", act=away("collector", 8), warm=6, after=6),
    Row(
        name="short-recycle",
        fault="one worker, replaced after 100 requests",
        server=(*GUNICORN[:-1], "--workers=1", "--max-requests=100", GUNICORN[-1]),
        warm=6,
        after=6,
        speaks=False,
    ),
)
NOT_RUN: Final[Mapping[str, str]] = {
    "the clock jumps": "libfaketime is not pinned, and the clock of a machine belongs to all of its processes",
    "20 % loss by netem": "the kernel it was run on has no netem; the row of the proxy stands for it",
}
ROWS: Final[Mapping[str, Row]] = {row.name: row for row in _EVERY}
