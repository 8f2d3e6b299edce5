"""The tests in memory on each minor release of OpenTelemetry, with each Python that otel_tutor supports.

    python -m tests.matrix [--python 3.12]... [--sdk 1.44]...

uv makes an environment for each pair, from its cache, and finds the interpreters: on PATH, those of pyenv, or its own
downloads. A Python that is not to be had is named as not run. Everything but OpenTelemetry is the newest that goes with it.
The exit code is 1 if a test fails or nothing is run.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

PINNED: Final = ("1.45.1",)  # what openlit and traceloop-sdk hold on to; 1.45.2 forgets deltas once they are exported
REPOSITORY: Final = Path(__file__).parents[1]
UV: Final = [sys.executable, "-m", "uv"]
SUMMARY: Final = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in ")


def project() -> tuple[list[str], str]:
    """The Pythons of the classifiers, and what pyproject.toml wants of the SDK."""
    table = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    pythons = re.findall(r"Python :: (3\.\d+)", " ".join(table["classifiers"]))
    (sdk,) = (wanted for wanted in table["optional-dependencies"]["sdk"] if wanted.startswith("opentelemetry-sdk"))
    return pythons, sdk


def releases(wanted: str) -> list[str]:
    """The newest release of each minor that is wanted, those in `PINNED`, from the oldest to the newest of all."""
    oldest = resolved(wanted, "--resolution", "lowest-direct")
    newest = resolved(wanted)
    minors = range(number(oldest)[1], number(newest)[1] + 1)
    found = {oldest, newest, *PINNED, *(resolved(f"opentelemetry-sdk==1.{minor}.*") for minor in minors)}
    return sorted(found, key=number)


def number(release: str) -> tuple[int, ...]:
    """1.45.2 as (1, 45, 2)."""
    return tuple(map(int, release.split(".")))


def resolved(requirement: str, *options: str) -> str:
    """The release of the SDK that uv finds for it."""
    command = [*UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *options, "-"]
    result = subprocess.run(command, input=requirement, capture_output=True, text=True, check=True)
    return dict(line.split("==") for line in result.stdout.splitlines())["opentelemetry-sdk"]


def interpreter(python: str) -> str | None:
    """The path of such a Python; uv downloads it if need be. None where it is not to be had."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob(f"versions/{python}.*/bin")
    path = os.pathsep.join([*map(str, pyenv), os.environ["PATH"]])  # pyenv's shims, on PATH, are no interpreters
    for find in (["find", "--no-project", "--system"], ["install", "--quiet"], ["find", "--no-project", "--system"]):
        result = subprocess.run(
            [*UV, "python", *find, python], capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
        )
        if result.returncode == 0 and result.stdout:
            return result.stdout.strip()
    return None


def run(python: str, sdk: str, folder: Path) -> str:
    """`2107 passed`, or what became of the tests otherwise."""
    environment = folder / f"{sdk}-{Path(python).name}"
    wanted = ["--editable", f"{REPOSITORY}[dev]", f"opentelemetry-sdk=={sdk}"]
    subprocess.run([*UV, "venv", "--quiet", "--python", python, environment], check=True)
    installed = subprocess.run(
        [*UV, "pip", "install", "--quiet", "--python", environment, *wanted], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        return f"not installed: {installed.stderr.strip().splitlines()[-1]}"
    command = [
        str(environment / "bin" / "python"),
        "-m",
        "pytest",
        "-q",
        "-rfEs",
        "-m",
        "memory",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
    ]
    tests = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    lines = tests.stdout.splitlines()
    for line in lines:
        if line.startswith(("FAILED", "ERROR", "SKIPPED")):
            write(f"    {line}")
    counts = SUMMARY.match(lines[-1]) if lines else None
    return counts.group(1) if counts else f"ended with {tests.returncode}: {tests.stderr.strip()[-200:]}"


def write(line: str) -> None:
    """Print it now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run each pair, one after the other, and print the table at the end."""
    pythons, wanted = project()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", metavar="VERSION", help="default: those of the classifiers")
    parser.add_argument("--sdk", action="append", metavar="VERSION", help="default: each minor, the oldest and the newest")
    chosen = parser.parse_args()
    sdks = [resolved(f"opentelemetry-sdk=={sdk}") for sdk in chosen.sdk or []] or releases(wanted)
    results: dict[str, dict[str, str]] = {}
    for python in chosen.python or pythons:
        path = interpreter(python)
        results[python] = {}
        for sdk in sdks:
            with tempfile.TemporaryDirectory() as folder:
                results[python][sdk] = run(path, sdk, Path(folder)) if path else "not run: no such Python"
            write(f"Python {python}, OpenTelemetry {sdk}: {results[python][sdk]}")
    write(f"\n| OpenTelemetry | {' | '.join(f'Python {python}' for python in results)} |\n|---|{'---|' * len(results)}")
    for sdk in sdks:
        write(f"| {sdk} | {' | '.join(row[sdk] for row in results.values())} |")
    outcomes = [outcome for row in results.values() for outcome in row.values() if not outcome.startswith("not run")]
    return 0 if outcomes and all(re.fullmatch(r"\d+ passed(, \d+ skipped)?", outcome) for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
