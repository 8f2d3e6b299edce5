"""What a user installs: the SDK alone, or with the command, from the wheel and in an empty environment."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import variable
from tests.support.ports import unused_ports

pytestmark = pytest.mark.stack  # they install from the package index

MOST_PACKAGES = 30
MOST_MEGABYTES = 35  # of files as the wheels have them, without the bytecode that Python adds
COMMANDS = {  # as a new user tries them, and what is asked for where more is needed
    "doctor": "",
    "status": "",
    "metrics process_*": "",
    "slo": "",
    "logs collector": "",
    "config check": "",
    "config print": "",
    "build": "",
    "trace --slowest": "Jaeger has no such trace of tutor in the last 15 minutes",
    "trace 0123": "is not a trace id",
    "logs nothing": "there is no component 'nothing'",
    "init mine": "",
    "init mine --help": "",
    "restart": "",
    "up": "",
    "demo": "the demo needs numpy, openai, sqlalchemy, uvicorn: pip install 'otel-tutor[demo]'",
    "drill HighLatency": "pip install 'otel-tutor[demo]'",
    "top": "top needs textual, textual_plotext, textual_serve: pip install 'otel-tutor[top]'",
}
TABLES = ("status", "metrics process_*", "slo", "restart", "up")


@dataclass(frozen=True)
class Environment:
    """An environment with the wheel in it, and a folder to work in."""

    folder: Path
    variables: dict[str, str]

    def program(self, name: str) -> Path:
        return self.folder / "venv" / "bin" / name

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        words = list(map(str, command))
        return subprocess.run(words, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False)

    def check(self, *command: str | Path) -> str:
        result = self.run(*command)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def distributions(self) -> list[metadata.Distribution]:
        packages = list((self.folder / "venv" / "lib").glob("python*/site-packages"))
        every = metadata.distributions(path=list(map(str, packages)))
        return [package for package in every if package.metadata["Name"] not in {"pip", "setuptools"}]


def install(folder: Path, requirement: str, **variables: str) -> Environment:
    environment = Environment(folder, {**os.environ, **variables})
    environment.check(sys.executable, "-m", "venv", folder / "venv")
    environment.check(environment.program("python"), "-m", "pip", "install", "--quiet", requirement)
    return environment


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, repository = tmp_path_factory.mktemp("wheel"), Path(__file__).parent.parent
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(repository)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(tmp_path_factory.mktemp("alone"), str(wheel))


@pytest.fixture(scope="module")
def with_command(wheel: Path, binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """With a running stack."""
    folder, ports = tmp_path_factory.mktemp("stack"), unused_ports()
    endpoint = f"http://127.0.0.1:{ports['otlp']}"
    moved = {variable(name): str(number) for name, number in ports.items()}
    environment = install(
        folder,
        f"otel-tutor[stack] @ {wheel.as_uri()}",
        OTEL_TUTOR_DATA=str(folder / "data"),
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        COLUMNS="80",
        **moved,
    )
    command = environment.program("otel-tutor")
    try:
        assert re.search(r"^collector +0\.158\.0 +ready", environment.check(command, "up"), re.MULTILINE)
        yield environment
    finally:
        environment.check(command, "down")


def test_the_sdk_brings_few_packages_and_none_of_the_commands(alone: Environment) -> None:
    packages = alone.distributions()
    files = [Path(str(package.locate_file(file))) for package in packages for file in package.files or ()]
    size = sum(path.stat().st_size for path in files if path.suffix != ".pyc" and path.is_file())

    assert len(packages) < MOST_PACKAGES
    assert size < MOST_MEGABYTES * 1_000_000
    names = {package.metadata["Name"].lower() for package in packages}
    assert not names & {"click", "rich", "httpx2", "supervisor", "tenacity", "python-dotenv", "pyyaml"}


def test_a_protocol_without_its_extra_is_refused_with_the_line_that_installs_it(alone: Environment) -> None:
    program = "import otel_tutor; otel_tutor.configure()"
    result = alone.run("env", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", alone.program("python"), "-c", program)

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(
        "OTEL_EXPORTER_OTLP_PROTOCOL='http/protobuf' needs an extra package: pip install 'otel-tutor[http]'"
    )


@pytest.mark.parametrize("name", ["otel-tutor", "python"])
def test_without_its_extra_the_command_prints_the_line_that_installs_it(alone: Environment, name: str) -> None:
    result = alone.run(alone.program(name), *(["-m", "otel_tutor"] if name == "python" else []))

    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"otel-tutor: the command needs click, .+: pip install 'otel-tutor\[stack\]'\n", result.stderr)


def test_the_sdk_configures_an_app_without_a_warning(alone: Environment) -> None:
    alone.check(
        alone.program("python"), "-W", "error", "-c", "import otel_tutor; otel_tutor.configure(); otel_tutor.shutdown()"
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_answers_in_one_line_or_in_eighty_columns(with_command: Environment, words: str) -> None:
    def ask() -> subprocess.CompletedProcess[str]:
        return with_command.run(with_command.program("otel-tutor"), *words.split())

    # The first evaluation of the objectives comes half a minute after `up`.
    result = wait_for(ask, lambda answer: words != "slo" or answer.returncode == 0, seconds=60)
    expected = COMMANDS[words]
    assert (result.returncode != 0) is bool(expected), result.stdout + result.stderr
    assert expected in result.stderr
    assert result.stderr.count("\n") <= 1  # one line, and no traceback
    if words in TABLES:
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_image_of_the_tutor_is_built_from_the_wheel_alone(with_command: Environment) -> None:
    build = "from otel_tutor.tools.stack.containers.compose import build_context; import pathlib, sys;"
    script = build + "print(build_context(pathlib.Path('image').absolute()))"
    context = Path(with_command.check(with_command.program("python"), "-c", script).strip())

    with_command.check(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", context / "again", context
    )
    copies = re.findall(r"^COPY (.+) \S+$", (context / "otel_tutor" / "demo" / "Dockerfile").read_text(), re.MULTILINE)
    assert [name for copy in copies for name in copy.split() if not (context / name).exists()] == []
