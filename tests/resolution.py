"""Whether otel_tutor lets its neighbours keep their newest release: resolved by uv, by the newest pip and by pip 23.2.

    python -m tests.resolution [NEIGHBOUR...]

Nothing is installed. Each neighbour is resolved alone and next to otel_tutor, and a table shows the release it keeps. Where
it loses it, or there is no solution, uv's reason names the pins. Python 3.11 ships pip 23.2. It gives a search up late, so
that each resolution has a deadline. The exit code is 1 if otel_tutor costs any neighbour its newest release.
"""

import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

NEIGHBOURS: Final = (
    "google-adk",
    "pydantic-ai",
    "langfuse",
    "logfire",
    "openlit",
    "traceloop-sdk",
    "arize-phoenix-otel",
    "mlflow",
    "chromadb",
    "langchain",
    "llama-index",
    "crewai",
    "aws-opentelemetry-distro",
    "opentelemetry-distro",
    "sentry-sdk",
)
DEADLINE: Final = 120  # seconds; what pip 23.2 finds, it finds within one minute
REPOSITORY: Final = Path(__file__).parents[1]

Versions = dict[str, str]  # by distribution
Resolver = Callable[[tuple[str, ...]], "Versions | str"]  # of requirements; a text is the reason why there are none


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One neighbour with one resolver: its release alone and next to otel_tutor, or why there is none."""

    newest: str
    alone: str
    together: str
    sdk: str

    @property
    def kept(self) -> bool:
        """Whether otel_tutor takes nothing away."""
        return self.together in {self.alone, self.newest}

    def __str__(self) -> str:
        if not self.kept:
            return f"{self.alone} -> {self.together}"
        return f"kept, SDK {self.sdk}" if self.sdk else f"{self.together}, alone neither"


def by_uv(requirements: tuple[str, ...]) -> Versions | str:
    """What uv resolves."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "-"]
    result = subprocess.run(
        command, input="\n".join(requirements), capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    if result.returncode:
        return " ".join(re.sub(r"[^\x20-\x7e]", " ", result.stderr).split())
    return dict(line.split("==") for line in result.stdout.splitlines() if "==" in line)


def by_pip(python: Path, requirements: tuple[str, ...]) -> Versions | str:
    """What the pip of this Python resolves."""
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--ignore-installed",
        "--report",
        "-",
        *requirements,
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        return f"no answer in {DEADLINE} s"
    if result.returncode:
        return "no solution"
    chosen = (distribution["metadata"] for distribution in json.loads(result.stdout)["install"])
    return {distribution["name"].lower().replace("_", "-"): distribution["version"] for distribution in chosen}


def resolvers(folder: Path) -> Iterator[tuple[str, Resolver]]:
    """Each with its name, made in `folder`."""
    yield "uv", by_uv
    for name, requirement in (("newest pip", "pip"), ("pip 23.2", "pip==23.2.*")):
        venv.create(folder / name, with_pip=True)
        python = folder / name / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", requirement], check=True, timeout=120)
        yield name, partial(by_pip, python)


def build(folder: Path) -> str:
    """otel_tutor as a wheel."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return f"otel-tutor @ {wheel.as_uri()}"


def compare(resolve: Resolver, neighbour: str, newest: str, own: str) -> Cell:
    """The neighbour alone and next to otel_tutor."""
    alone, together = resolve((neighbour,)), resolve((neighbour, own))
    return Cell(
        newest=newest,
        alone=alone if isinstance(alone, str) else alone[neighbour],
        together=together if isinstance(together, str) else together[neighbour],
        sdk="" if isinstance(together, str) else together["opentelemetry-sdk"],
    )


def why(neighbour: str, newest: str, own: str) -> str:
    """What uv says against the newest release next to otel_tutor."""
    resolved = by_uv((f"{neighbour}=={newest}", own))
    return f"{neighbour} {newest}: {resolved if isinstance(resolved, str) else 'there is a solution, which uv finds'}"


def main(neighbours: list[str]) -> int:
    """Print a line for each as it is known, and the reasons below."""
    reasons = []
    with tempfile.TemporaryDirectory() as folder:
        own = build(Path(folder))
        named = dict(resolvers(Path(folder)))
        write(f"| next to | newest | {' | '.join(named)} |", f"|---|---|{'---|' * len(named)}")
        for neighbour in neighbours:
            resolved = by_uv((neighbour,))
            newest = resolved if isinstance(resolved, str) else resolved[neighbour]
            cells = [compare(resolve, neighbour, newest, own) for resolve in named.values()]
            write(f"| {neighbour} | {newest} | {' | '.join(map(str, cells))} |")
            if not all(cell.kept for cell in cells):
                reasons.append(why(neighbour, newest, own))
    write(*reasons)
    return 1 if reasons else 0


def write(*lines: str) -> None:
    """Print them now."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or list(NEIGHBOURS)))
