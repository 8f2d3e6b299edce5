"""Processes kept by supervisord: started in order, restarted when they crash, stopped together."""

import contextlib
import hashlib
import http.client
import os
import shlex
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil
from supervisor.xmlrpc import SupervisorTransport
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.native.die_with_parent import COMMAND as DIE_WITH_PARENT
from otel_tutor.tools.stack.native.programs import Program
from otel_tutor.tools.stack.output import last_line

__all__ = ["STACK_ENV", "Supervisor"]

STACK_ENV: Final = "OTEL_TUTOR_STACK"  # environment variable by which a process of a stack is known, whatever its parent
_STOP_SECONDS: Final = 10  # for one process to end by itself; the Collector drains its queues in that time
_LOG_BYTES: Final = "10MB"  # a component's log, kept twice
_PID_FILE: Final = "supervisord.pid"
_LONGEST_SOCKET: Final = 100  # bytes; the kernel takes 107 on Linux, 103 on macOS


class Supervisor:
    """The supervisord of one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.logs = data / "logs"
        self._run = _socket_folder(data)
        self._socket = self._run / "supervisor.sock"
        self._configuration = data / "supervisord.conf"
        self._process: subprocess.Popen[bytes] | None = None  # where this process is the one that started it

    def start(self, programs: Sequence[Program], environment: Mapping[str, str], *, die_with_parent: bool) -> None:
        """Start supervisord, with nothing running in it yet. With `die_with_parent`, it ends when this process does."""
        for folder in (self.logs, self._run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A percent sign begins an expansion in this file; none is meant. Log files are expanded twice: their paths are
        # relative to the data folder, whatever that is called.
        self._configuration.write_text(self._sections(programs).replace("%", "%%"), encoding="utf-8")
        command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(self._configuration)]
        if die_with_parent:
            command = [*DIE_WITH_PARENT, *command]
        with (self.logs / "supervisord.out").open("w") as output:
            process = self._process = subprocess.Popen(
                command,
                env={**environment, STACK_ENV: str(self.data)},
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the process that started it, which then stops all in order
            )
        for attempt in Retrying(
            stop=stop_after_delay(10), wait=wait_fixed(0.05), retry=retry_if_exception_type(OSError), reraise=True
        ):
            with attempt:
                if process.poll() is not None:
                    text = (self.logs / "supervisord.out").read_text(errors="replace")
                    raise StackError(f"the supervisor did not start: {last_line(text)}")
                self._call("getPID")

    def is_running(self) -> bool:
        """Whether a supervisord answers for this data folder."""
        try:
            self._call("getPID")
        except OSError:
            return False
        return True

    def start_program(self, name: str) -> None:
        """Start one program; returns when its process exists, not when it is ready."""
        self._call("startProcess", name, False)

    def stop_program(self, name: str) -> None:
        """Stop one program; it stays down until it is started again."""
        self._call("stopProcess", name)

    def processes(self) -> dict[str, dict[str, Any]]:
        """By program: `statename`, `pid`, `start` (Unix seconds), `exitstatus`, as supervisord reports them."""
        answer: list[dict[str, Any]] = self._call("getAllProcessInfo")
        return {process["name"]: process for process in answer}

    def stop(self) -> int:
        """Stop everything, in reverse order, and make sure of it. Returns how many processes had to be ended one by one."""
        with contextlib.suppress(OSError, psutil.Error):  # none was running, or it died: what it left is ended below
            supervisor = psutil.Process(self._call("getPID"))
            self._call("shutdown")
            supervisor.wait(timeout=len(self.processes_left()) * _STOP_SECONDS + 5)
        left = self.processes_left()
        for process in left:
            process.terminate()
        for process in psutil.wait_procs(left, timeout=_STOP_SECONDS)[1]:
            process.kill()
        if self._process is not None:
            self._process.wait()
        for leftover in (self._socket, self._run / _PID_FILE, self._configuration):
            if leftover.exists():
                leftover.unlink()
        if self._run != self.data and self._run.is_dir():
            self._run.rmdir()
        return len(left)

    def processes_left(self) -> list[psutil.Process]:
        """Every live process that was started for this data folder."""
        ours = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(STACK_ENV) == str(self.data) and process.status() != psutil.STATUS_ZOMBIE:
                    ours.append(process)
            except (psutil.Error, OSError):
                continue
        return [process for process in ours if process.pid != os.getpid()]

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://supervisor", transport=transport, allow_none=True)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise StackError(
                f"the supervisor refused {method} {' '.join(map(str, arguments))}: {fault.faultString}"
            ) from None
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from None
        finally:
            transport.close()

    def _sections(self, programs: Sequence[Program]) -> str:
        head = f"""\
[supervisord]
nodaemon=true
logfile={self.logs.name}/supervisord.log
pidfile={self._run / _PID_FILE}
[unix_http_server]
file={self._socket}
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
        return head + "".join(self._section(program, priority) for priority, program in enumerate(programs, 1))

    def _section(self, program: Program, priority: int) -> str:
        command = shlex.join([*DIE_WITH_PARENT, *program.command])
        environment = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
        return f"""\
[program:{program.name}]
command={command}
directory={program.folder or self.data}
environment={environment}
priority={priority}
autostart=false
autorestart=true
startsecs=1
startretries=1000
stopsignal=TERM
stopwaitsecs={_STOP_SECONDS}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={self.logs.name}/{program.name}.log
stdout_logfile_maxbytes={_LOG_BYTES}
stdout_logfile_backups=1
"""


def _socket_folder(data: Path) -> Path:
    """The data folder, or a temporary folder where the socket's path would be too long."""
    if len(os.fsencode(data / "supervisor.sock")) <= _LONGEST_SOCKET:
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"otel-tutor-{os.getuid()}-{name}"
