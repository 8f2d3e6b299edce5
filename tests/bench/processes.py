"""Variants side by side: a process for each, asked for short rounds in turns.

A process for each, because what one variant sets or wraps would cost the others something; short rounds in turns, so that
what else the machine does falls on all of them. Processes are started again some times: one may lie well in memory.
"""

import json
import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.support.environments import environment

__all__ = [
    "Effort",
    "LostError",
    "Times",
    "Variant",
    "clean_environment",
    "measure",
    "peers_python",
    "plain_python",
    "run_program",
]

REPOSITORY = Path(__file__).parents[2]
Times = Mapping[str, Sequence[Mapping[str, float]]]


class LostError(Exception):
    """Something that was timed did not arrive exactly."""


@dataclass(frozen=True)
class Effort:
    """How often things are measured.

    starts: processes of each variant, one after the other; rounds: of each process. programs: runs of a program whose start
    is what is measured. loads: rounds of load over HTTP or OTLP; seconds: of each.
    """

    starts: int = 3
    rounds: int = 14
    programs: int = 15
    loads: int = 7
    seconds: float = 2.0

    @classmethod
    def quick(cls) -> "Effort":
        """Enough to see that it works."""
        return cls(starts=1, rounds=3, programs=3, loads=2, seconds=1.0)


# Ours is measured beside no other instrumentation than its own: configure() would start those of developers.
PEERS = (
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "prometheus-client",
    "uvicorn[standard]",
    "sqlalchemy[asyncio]",
)


@lru_cache(maxsize=1)
def plain_python() -> str:
    """The interpreter of an environment with otel_tutor, and with peers that do nothing unless they are asked to."""
    return str(environment("bench-plain", *PEERS, extras="stack,http"))


@lru_cache(maxsize=1)
def peers_python() -> str:
    """The interpreter of an environment with the peers that bring instrumentations and take over providers."""
    return str(environment("bench-peers", "logfire[fastapi]", "sentry-sdk", "uvicorn[standard]", extras="stack,http"))


@dataclass(frozen=True)
class Variant:
    """A function of a module without arguments, which returns a Trial, and what it is run with."""

    module: str
    name: str
    python: str = field(default_factory=plain_python)
    environ: Mapping[str, str] = field(default_factory=dict)
    label: str = ""  # what its times are called, if not by its name


def clean_environment(folder: str, more: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of telemetry, and with another data folder.

    Bytecode is written, as pip writes it for what it installs: without it, ours alone would be compiled at each start.
    """
    left_out = ("OTEL_", "LOGFIRE_", "SENTRY_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "OTEL_TUTOR_DATA": folder, **more}


def run_program(python: str, program: str, environ: Mapping[str, str] | None = None) -> Any:
    """What a program printed last, read as JSON, and in an environment without telemetry's settings."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [python, "-c", program],
            cwd=folder,
            env=clean_environment(folder, environ or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if result.returncode:
        raise LostError(f"a program failed: {result.stderr.strip().splitlines()[-1:]}")
    return json.loads(result.stdout.splitlines()[-1])


@contextmanager
def worker(variant: Variant) -> Iterator["subprocess.Popen[str]"]:
    """A process that waits to be asked."""
    with tempfile.TemporaryDirectory() as folder:
        command = [variant.python, "-m", "tests.bench.worker", variant.module, variant.name]
        environ = clean_environment(folder, variant.environ)
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ask(process: "subprocess.Popen[str]", question: str) -> Any:
    """The answer of a worker."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(question + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise LostError(f"{process.args[3:]!r} ended by itself")  # type: ignore[index]  # a list
    return json.loads(line)


def measure(variants: Sequence[Variant], effort: Effort) -> Times:
    """Processor seconds of each variant in each round, by its label. Raises LostError."""
    times: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for _ in range(effort.starts):
        with ExitStack() as stack:
            workers = [(variant.label or variant.name, stack.enter_context(worker(variant))) for variant in variants]
            for _, process in workers:
                ask(process, "round")  # what is made once is made now
            for _ in range(effort.rounds):
                for name, process in workers:
                    times[name].append(ask(process, "round"))
            for name, process in workers:
                if missing := ask(process, "check")["missing"]:
                    raise LostError(f"{name}: {missing}")
    return times
