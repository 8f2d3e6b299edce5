"""An hour of load on a tutor with the whole stack, and what grows meanwhile: `make soak`, or `python -m tests.soak 5`.

Students ask, practise and synchronise. Every ten seconds the tutor says what it holds, and the memory of each component of
the stack is read. The first fifth is left out: what is made once is made then. Exits with 1 if the tutor's memory, threads,
descriptors or tasks grow, or if a request was not answered.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import linear_regression
from typing import Final

import httpx2
import psutil
from rich.console import Console
from rich.table import Table

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.load import LoadResult, run_load
from otel_tutor.tools.stack.files import cache_folder
from otel_tutor.tools.stack.native.build import available
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE

REPOSITORY: Final = Path(__file__).parents[2]
RESULTS: Final = REPOSITORY / "build" / "soak.json"
INTERVAL: Final = 10.0  # seconds between two looks
WARM_UP: Final = 5  # the first of so many parts
STUDENTS: Final = 8
PAUSE: Final = 0.2  # seconds before each request of a student: about 30 requests a second
# Of memory, in an hour: a leak of 100 bytes a request would be 11 MB. Python's allocator gives back whole arenas only.
MOST_GROWTH: Final = 2_000_000

Sample = dict[str, float]


def main() -> int:
    """Soak, print what was seen, keep it; 1 if something grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("minutes", nargs="?", type=float, default=60.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        samples, load = soak(Path(folder), minutes * 60)
    report = summary(samples, load)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**report, "samples": samples}, indent=1), encoding="utf-8")
    show(report)
    problems = [*grown(report), *([f"{report['failed']} requests failed"] if report["failed"] else [])]
    if problems:
        sys.stderr.write(f"{'; '.join(problems)}\n")
    return 1 if problems else 0


def soak(folder: Path, seconds: float) -> tuple[list[Sample], LoadResult]:
    """What was held during the load, and the load."""
    binaries, missing = available(shipped_config_dir(), cache_folder())
    if missing:
        raise SystemExit("the stack is not built: run otel-tutor build")
    ports, stack = unused_ports(), NativeStack(folder / "stack", binaries=binaries, die_with_parent=True)
    stack.up(ports, without=APP_AND_PAGE)
    try:
        with tutor(folder, ports) as app:
            return asyncio.run(observe(app, stack, seconds))
    finally:
        stack.down()


@contextmanager
def tutor(folder: Path, ports: Mapping[str, int]) -> Iterator[str]:
    """The tutor's address, once it is ready."""
    app = f"http://127.0.0.1:{ports['app']}"
    options = f"--port={ports['app']}", "--no-access-log", "--log-level=warning"
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "tests.soak.app:create_app", *options],
        cwd=REPOSITORY,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports['otlp']}",
            "OTEL_TUTOR_DATA": str(folder / "stack"),
            "OTEL_TUTOR_DEMO_DATA": str(folder / "tutor"),
        },
    )
    try:
        if not wait_for(lambda: is_ready(app), bool, seconds=60):
            raise SystemExit("the tutor did not become ready within 60 s")
        yield app
    finally:
        process.terminate()
        process.wait(30)


def is_ready(app: str) -> bool:
    """Whether it answers."""
    try:
        return httpx2.get(f"{app}/health/ready", trust_env=False).is_success
    except httpx2.TransportError:
        return False


async def observe(app: str, stack: NativeStack, seconds: float) -> tuple[list[Sample], LoadResult]:
    """Look at what is held while students work."""
    load = asyncio.create_task(run_load(app, seconds=seconds, concurrency=STUDENTS, pause=PAUSE))
    samples: list[Sample] = []
    began = time.monotonic()
    async with httpx2.AsyncClient(base_url=app, trust_env=False, timeout=30) as client:
        while not load.done():
            holds = (await client.get("/holds")).json()
            memory = {f"{name}: memory": of for name, of in (await asyncio.to_thread(components, stack)).items()}
            samples.append(
                {"seconds": time.monotonic() - began, **{f"tutor: {key}": of for key, of in holds.items()}, **memory}
            )
            await asyncio.wait([load], timeout=INTERVAL)
    return samples, load.result()


def components(stack: NativeStack) -> dict[str, int]:
    """The memory of each component, in bytes."""
    return {program.name: psutil.Process(program.pid).memory_full_info().uss for program in stack.status() if program.pid}


def summary(samples: Sequence[Sample], load: LoadResult) -> dict[str, float | dict[str, dict[str, float]]]:
    """Of everything that is held: how much at first and at last, the most, and the slope in an hour."""
    warm = samples[len(samples) // WARM_UP :]
    hours = [sample["seconds"] / 3600 for sample in warm]
    held = {}
    for name in samples[0]:
        values = [sample[name] for sample in warm if name in sample]
        if name == "seconds" or len(values) < len(warm):
            continue
        held[name] = {
            "first": values[0],
            "last": values[-1],
            "most": max(values),
            "slope": linear_regression(hours, values).slope,
        }
    return {
        "seconds": load.seconds,
        "requests": sum(load.requests.values()),
        "failed": sum(count for (_, _, status), count in load.requests.items() if not 200 <= status < 400),
        "held": held,
    }


def grown(report: Mapping[str, object]) -> list[str]:
    """What of the tutor's grows."""
    held = report["held"]
    assert isinstance(held, dict)
    found = []
    for name, of in held.items():
        rise = of["slope"] * float(str(report["seconds"])) / 3600  # over the whole run
        if name == "tutor: memory" and rise > MOST_GROWTH:
            found.append(f"{name} grows by {of['slope'] / 1e6:.1f} MB an hour")
        elif name.startswith("tutor: ") and name != "tutor: memory" and rise > 2:
            found.append(f"{name} grow by {of['slope']:.1f} an hour")
    return found


def show(report: Mapping[str, object]) -> None:
    """Print a table."""
    held = report["held"]
    assert isinstance(held, dict)
    title = f"{report['requests']} requests in {float(str(report['seconds'])) / 60:.0f} minutes, {report['failed']} failed"
    table = Table("what", "first", "last", "most", "slope an hour", title=title)
    for name, of in held.items():
        scale, unit = (1e6, " MB") if name.endswith("memory") else (1.0, "")
        table.add_row(name, *(f"{of[key] / scale:.1f}{unit}" for key in ("first", "last", "most", "slope")))
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
