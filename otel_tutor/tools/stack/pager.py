"""Where notifications go until alerts/receivers/ name another place: a webhook that keeps the last ones and logs each.

It also serves the runbooks, so that an alert's link leads somewhere on a machine without anything else.
"""

import json
import os
import signal
import sys
import time
from collections import deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

__all__ = ["Pager", "serve"]

_KEPT: Final = 1000  # notifications; the log has the earlier ones
_LARGEST: Final = 4 * 1024 * 1024  # bytes of one notification; a group of a thousand alerts takes 1 MB


class Pager(ThreadingHTTPServer):
    """Takes Alertmanager's webhook on `/<receiver>`, answers `/notifications` and `/runbooks/<alert>`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], runbooks: Path) -> None:
        super().__init__(address, _Handler)
        self.runbooks = runbooks
        self.notifications: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.watchdog = 0.0  # when it last arrived, in seconds since the epoch

    def take(self, receiver: str, notification: dict[str, Any]) -> None:
        """Keep a notification and write a line for each of its alerts."""
        if receiver == "watchdog":
            self.watchdog = time.time()
            return
        self.notifications.append({"received": time.time(), "receiver": receiver, **notification})
        for alert in notification.get("alerts", ()):
            labels, annotations = alert.get("labels", {}), alert.get("annotations", {})
            words = (receiver, alert.get("status"), labels.get("severity"), labels.get("alertname"), labels.get("job", "-"))
            print(time.strftime("%FT%TZ", time.gmtime()), *words, annotations.get("description", ""), flush=True)  # noqa: T201 - its log is its output


class _Handler(BaseHTTPRequestHandler):
    server: Pager

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            last = time.strftime("%FT%TZ", time.gmtime(self.server.watchdog)) if self.server.watchdog else "never"
            self._answer(HTTPStatus.OK, f"{len(self.server.notifications)} notifications; last watchdog: {last}\n")
        elif path == "/notifications":
            self._answer(HTTPStatus.OK, json.dumps(list(self.server.notifications)), "application/json")
        elif path.startswith("/runbooks/") and (page := self._runbook(path.removeprefix("/runbooks/"))):
            self._answer(HTTPStatus.OK, page, "text/markdown")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "There is /notifications, and /runbooks/ALERT.\n")

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if length > _LARGEST:
                raise ValueError
            notification = json.loads(self.rfile.read(length))
            self.server.take(self.path.strip("/"), dict(notification))
        except (ValueError, TypeError, AttributeError):
            self._answer(HTTPStatus.BAD_REQUEST, "This is not a notification of Alertmanager.\n")
        else:
            self._answer(HTTPStatus.OK, "")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        """Requests are not logged, notifications are."""

    def _runbook(self, name: str) -> str | None:
        pages = {page.stem: page for page in self.server.runbooks.glob("*.md")}
        return pages[name].read_text(encoding="utf-8") if name in pages else None

    def _answer(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(port: int, runbooks: Path) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the first process of a container has no default for it
    with Pager((os.environ.get("OTEL_TUTOR_BIND", "127.0.0.1"), port), runbooks) as pager:
        pager.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
