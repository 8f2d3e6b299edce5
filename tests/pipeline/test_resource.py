"""Each live process of a service has its own number, and a new one takes over the number of one that died."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from otel_tutor.pipeline.resource import end_lease, make_resource
from otel_tutor.recording.state import state
from otel_tutor.settings import Settings
from tests.support.fork import in_a_fork
from tests.support.receiver import Receiver

PROGRAM = """
import sys
from otel_tutor.pipeline.resource import end_lease, make_resource
from otel_tutor.settings import Settings
print(make_resource(Settings.read(service_name=sys.argv[1])).attributes["service.instance.id"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def kept_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process keeps the number it has; the tests lease below a folder of their own."""
    monkeypatch.setenv("OTEL_TUTOR_DATA", str(tmp_path))
    lease = state.lease
    yield
    state.lease = lease


def instance(name: str = "leased", **environ: str) -> str:
    return str(make_resource(Settings.read(service_name=name, environ=environ)).attributes["service.instance.id"])


def start(name: str = "leased") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )


def number(process: "subprocess.Popen[str]") -> int:
    assert process.stdout
    return int(process.stdout.readline().rsplit("-", 1)[1])


@pytest.mark.processes
def test_two_processes_have_two_numbers_and_a_third_takes_that_of_one_that_was_killed() -> None:
    with start() as first, start() as second:
        numbers = {number(first), number(second)}
        first.kill()
        first.wait()
        with start() as third:
            assert number(third) in numbers
            third.kill()
        second.kill()

    assert numbers == {0, 1}


def test_a_forked_child_takes_a_number_of_its_own_and_leaves_its_parent_the_other() -> None:
    parent = instance()

    def in_child() -> str:
        return instance()

    child = in_a_fork(in_child)
    with start() as other:
        assert {name.rsplit("-", 1)[1] for name in (parent, child)} == {"0", "1"}
        assert number(other) != 0  # the child has ended, the parent lives
        other.kill()


def test_the_number_of_a_process_that_ended_in_order_rests_until_its_last_values_are_read() -> None:
    first = instance()
    end_lease()
    state.lease.release()
    second = instance()

    assert (first[-2:], second[-2:]) == ("-0", "-1")
    assert set(state.predecessors) == {first}


def test_the_number_of_a_process_that_ended_long_ago_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first = instance()
    end_lease()
    state.lease.release()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 16)

    assert instance() == first
    assert state.predecessors == {}


def test_services_count_for_themselves() -> None:
    assert instance("a").endswith("-0")
    with start("b") as other:
        assert number(other) == 0
        other.kill()


def test_the_instance_that_is_asked_for_is_numbered_from_the_second_process_on() -> None:
    wished = {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=tutor-7,deployment.environment.name=test"}
    first, lease = instance(**wished), state.lease

    assert (first, instance(**wished)) == ("tutor-7", "tutor-7-1")
    assert lease.is_locked


def test_where_no_lock_file_can_be_kept_the_instance_is_random(tmp_path: Path) -> None:
    (tmp_path / "instances").write_text("a file where the folder would be")
    names = {instance(), instance()}

    assert len({UUID(name) for name in names}) == 2


WITHOUT_UNIX = """
import os, sys
sys.modules["fcntl"] = None
del os.fork, os.register_at_fork
import otel_tutor
from otel_tutor.monitoring import metrics_collector
otel_tutor.configure(endpoint=sys.argv[1])
metrics_collector.track_rag_query("physics", 0.1, 3)
"""


@pytest.mark.processes
def test_an_app_is_observed_where_there_is_neither_fcntl_nor_fork(received: Receiver) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_UNIX, received.address], timeout=60, check=True)

    assert [point.as_double for point in received.points["rag.queries"]] == [1]


AS_ANOTHER_USER = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]  # one that does not exist
CONFIGURED = """
import os, sys
import otel_tutor
otel_tutor.configure()
if not (child := os.fork()):
    os._exit(0)
os.waitpid(child, 0)
from otel_tutor.lifecycle import providers
print(providers().tracer.resource.attributes["service.instance.id"])
"""


def configure_in(command: list[str], **environ: str) -> tuple[str, str]:
    """The instance of a process that configures itself and forks a child, and what it logged."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in {"HOME", "OTEL_TUTOR_DATA", "XDG_DATA_HOME"}
    }
    command = [*command, sys.executable, "-c", CONFIGURED]
    result = subprocess.run(
        command, env=inherited | environ, cwd="/", capture_output=True, text=True, timeout=60, check=True
    )
    return result.stdout.strip(), "\n".join(line for line in result.stderr.splitlines() if "service.instance.id" in line)


@pytest.mark.processes
@pytest.mark.parametrize("folder", ["/proc/version/data", "/proc/data"])  # no one can make them, root included
def test_a_process_that_can_keep_no_data_is_configured_and_says_so_once(folder: str) -> None:
    instance_id, lines = configure_in([], OTEL_TUTOR_DATA=folder)

    assert UUID(instance_id)
    assert len(lines.splitlines()) == 1
    assert folder in lines


@pytest.mark.processes
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user that does not exist")
def test_so_is_a_process_of_a_user_who_does_not_exist() -> None:
    if subprocess.run([*AS_ANOTHER_USER, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("this Python is installed where only its owner can start it")
    instance_id, lines = configure_in(AS_ANOTHER_USER)

    assert UUID(instance_id)
    assert len(lines.splitlines()) == 1
    assert "there is no home directory: set OTEL_TUTOR_DATA" in lines


def test_text_that_utf8_cannot_hold_is_replaced_and_long_text_is_cut() -> None:
    broken = os.fsdecode(b"caf\xe9")
    attributes = make_resource(
        Settings.read(environ={"OTEL_SERVICE_NAME": broken, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "10"})
    ).attributes

    assert (attributes["service.name"], attributes["telemetry.distro.name"]) == ("caf?", "otel_tutor")
    assert attributes["telemetry.sdk.name"] == "opentelemet"[:10]


def test_so_is_text_of_the_variable_for_the_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", os.fsdecode(b"team=caf\xe9,\xe9=x"))
    attributes = make_resource(Settings.read()).attributes

    assert (attributes["team"], attributes["?"]) == ("caf?", "x")
