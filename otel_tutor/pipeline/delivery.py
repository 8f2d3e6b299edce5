"""What one exporter is given, sent in as many requests as it takes, so that a record that cannot be sent is lost alone.

The size of a request is known before it is sent. What is above gRPC's usual limit goes in several; a record that is above
it by itself is tried alone, for a receiver may take more. A request that the receiver refuses for its size or content is
halved until what is refused is a single record. That record is counted by `telemetry_lost_total`, and logged at most once
a minute.

A receiver that is away is waited for: spans and log records are sent again until they are taken or the process ends. What
is recorded meanwhile waits in the SDK's queue, which drops the oldest once it is full. Metrics are not: the next export has
newer totals of the same series.
"""

import logging
import os
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from grpc import RpcError, StatusCode  # type: ignore[import-untyped]  # ships no types

from otel_tutor import catalogue
from otel_tutor.errors import is_failure
from otel_tutor.pipeline.signals import Signal
from otel_tutor.recording.guard import EXPORT_FAILING, attempt
from otel_tutor.recording.instruments import Labels, observe
from otel_tutor.recording.state import Reason, state
from otel_tutor.recording.values import to_text

__all__ = ["Delivery", "observe_losses"]

_LARGEST_REQUEST: Final = 4 << 20  # bytes; what gRPC's servers take unless they are told otherwise, the Collector's too
# Protobuf holds the interpreter while it writes a request: for 0.3 ms with so many data points, of some 100 bytes each.
_MOST_RECORDS: Final = 2000
# A receiver that refuses so many requests one after the other, and accepts none, refuses everything: halving five times
# gives as many parts, and a batch with a bad record in each of them is no good batch with a bad record.
_HOPELESS: Final = 32

# About the content of a request. Not among them: who may send (UNAUTHENTICATED, PERMISSION_DENIED), what is served
# (UNIMPLEMENTED, NOT_FOUND), and what passes by itself (UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, CANCELLED, DATA_LOSS).
_CONTENT: Final = (
    StatusCode.INVALID_ARGUMENT,
    StatusCode.INTERNAL,  # the Collector's for what it will never take, and a server's for what it cannot decode
    StatusCode.UNKNOWN,  # of a proxy's 413, and of a server that fails
    StatusCode.OUT_OF_RANGE,  # of tonic for a request that is too large
    StatusCode.FAILED_PRECONDITION,
)
# Other servers use RESOURCE_EXHAUSTED for that, which also means "slow down".
_TOO_LARGE: Final = re.compile(r"larger than|too large|exceed\w* (the )?(maximum|max|limit)|message size", re.IGNORECASE)
_RETRY_INFO: Final = "google.rpc.retryinfo-bin"  # the receiver expects the same request again

# What passes by itself, also without the receiver saying so.
_PASSING: Final = (
    StatusCode.UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.ABORTED,
    StatusCode.CANCELLED,
    StatusCode.DATA_LOSS,
)
# Seconds for an answer, unless the environment says. A request that is given up too early may arrive later, and twice.
_PATIENCE: Final = 60.0
_LONGEST_WAIT: Final = 2.0  # seconds between two attempts; the first waits are shorter
_SHORTEST_WAIT: Final = 0.1

_LONGEST_REASON: Final = 300  # characters of a line of log; a receiver may quote what it refuses
LOST: Final = "telemetry lost, all of it counted by telemetry_lost_total (logged at most once a minute)"

_log: Final = logging.getLogger("otel_tutor")


class Delivery:
    """What sends the batches of one exporter, in place of the client that gRPC generates for it."""

    def __init__(self, signal: Signal) -> None:
        self._signal: Final = signal
        self._send: Callable[..., Any] | None = None
        self._batch: object = None
        self._parts: deque[Sequence[Any]] = deque()
        self._offered: tuple[Sequence[Any], int] = ((), 0)
        self._refusals = 0
        self._accepts = False
        self._hurry = threading.Event()
        self._end = float("inf")
        self._farewell: Any = None
        self._process = os.getpid()
        names = "OTEL_EXPORTER_OTLP_TIMEOUT", f"OTEL_EXPORTER_OTLP_{signal.name.upper()}_TIMEOUT"
        self._patience = 0.0 if any(os.environ.get(name) for name in names) else _PATIENCE

    def __call__(self, channel: Any) -> "Delivery":
        """Send over this channel from now on."""
        if os.getpid() != self._process:  # a thread of the parent may have held the event's lock
            self._process, self._hurry = os.getpid(), threading.Event()
        self._send = self._signal.client(channel).Export
        return self

    def Export(self, request: Any, metadata: Any, timeout: float) -> None:  # noqa: N802 - gRPC's name
        """Send a batch, as an exporter is given it, within `timeout` seconds.

        Raises RpcError where trying again may help. The same batch then goes on where it stopped, so that nothing is sent
        twice.
        """
        assert self._send is not None, "there is no channel yet"
        deadline = time.monotonic() + timeout
        self._begin(request)
        waits = 0
        while (part := self._next()) is not None:
            records, message = part
            left = max(timeout, self._patience) if self._signal.is_kept else deadline - time.monotonic()
            try:
                response = self._send(message, metadata=metadata, timeout=max(0.0, min(left, self._end - time.monotonic())))
            except RpcError as error:
                if not _is_refusal(error, message.ByteSize()):
                    self._parts.appendleft(records)
                    if not self._may_wait(error):
                        raise
                    waits += 1
                    self._wait(error, waits)
                    continue
                self._refused(records, message.ByteSize(), f"{error.code().name}: {error.details()}")
            else:
                self.accept(response)
        self._batch = None
        self._signal.taken()
        if self._farewell is not None:
            self._send(self._farewell, metadata=metadata, timeout=max(0.0, min(timeout, self._end - time.monotonic())))

    def hurry(self, seconds: float) -> None:
        """Wait for a receiver that is away for so many seconds more, then give up."""
        self._end = time.monotonic() + seconds
        self._hurry.set()

    def _may_wait(self, error: Any) -> bool:
        return self._signal.is_kept and error.code() in _PASSING and time.monotonic() < self._end

    def _wait(self, error: Any, waits: int) -> None:
        """Wait before the next attempt: for longer each time, and not at once with other processes."""
        if state.may_log_export():
            details = " ".join(str(error.details()).split())[:_LONGEST_REASON]
            _log.warning("%s: %s wait: %s: %s", EXPORT_FAILING, self._signal.name, error.code(), details)
        seconds = min(_LONGEST_WAIT, _SHORTEST_WAIT * 2**waits) * random.uniform(0.8, 1.2)
        if self._hurry.wait(seconds):
            time.sleep(min(_SHORTEST_WAIT, max(0.0, self._end - time.monotonic())))

    def parts(self, batch: Any) -> Iterator[Any]:
        """A batch as batches that are small enough, without the records that are too large or cannot be encoded.

        Where the receiver refuses a part for its content, `refuse()` it before asking for the next.
        """
        self._begin(batch)
        while (part := self._next()) is not None:
            records, message = part
            if message.ByteSize() > _LARGEST_REQUEST:
                self._divide(records, Reason.TOO_LARGE, f"{message.ByteSize():,} bytes, more than receivers take by default")
            else:
                self._offered = records, message.ByteSize()
                yield self._signal.join(records)
        self._batch = None
        self._signal.taken()

    def refuse(self, reason: str) -> None:
        """Have the last part sent in halves; a single record is lost."""
        records, num_bytes = self._offered
        self._refused(records, num_bytes, reason)

    def accept(self, response: Any) -> None:
        """Count what a receiver left out of a request that it took."""
        self._accepts = True
        if rejected := self._signal.rejected(response):
            self._lose(rejected, Reason.REFUSED, f"left out by the receiver: {response.partial_success.error_message}")

    def _begin(self, batch: Any) -> None:
        if batch is not self._batch:
            records = self._signal.split(batch)
            self._farewell = self._signal.farewell(records)
            starts = range(0, len(records), _MOST_RECORDS)
            self._batch, self._parts = batch, deque(records[start : start + _MOST_RECORDS] for start in starts)
            self._refusals, self._accepts = 0, False

    def _next(self) -> tuple[Sequence[Any], Any] | None:
        """The next records that can be sent, and the request for them."""
        while self._parts:
            records = self._parts.popleft()
            if not records:
                continue
            try:
                message = self._signal.encode(records)
            except BaseException as error:  # whatever a value made the encoder raise
                if not is_failure(error):
                    raise
                cause = getattr(error, "original_exception", error)
                self._divide(records, Reason.INVALID, f"not encodable: {type(cause).__name__}: {to_text(cause)}")
                continue
            runs: Sequence[Sequence[Any]] = [records] if message.ByteSize() <= _LARGEST_REQUEST else self._fitting(records)
            if len(runs) == 1:
                return records, message
            self._parts.extendleft(reversed(runs))
        return None

    def _fitting(self, records: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """The records in runs that fit in a request each; a record that does not fit in any is alone."""
        runs: list[list[Any]] = [[]]
        total = 0
        for record in records:
            num_bytes = self._signal.encode([record]).ByteSize()  # not less than it adds to a request with others
            if total + num_bytes > _LARGEST_REQUEST and runs[-1]:
                runs.append([])
                total = 0
            runs[-1].append(record)
            total += num_bytes
        return runs

    def _refused(self, records: Sequence[Any], num_bytes: int, answer: str) -> None:
        self._refusals += 1
        is_large = num_bytes > _LARGEST_REQUEST or _TOO_LARGE.search(answer)
        reason = Reason.TOO_LARGE if is_large else Reason.REFUSED
        detail = f"{num_bytes:,} bytes, refused by the receiver: {answer}"
        if self._refusals < _HOPELESS or self._accepts:
            self._divide(records, reason, detail)
            return
        self._lose(len(records) + sum(map(len, self._parts)), reason, f"as everything before, {detail}")
        self._parts.clear()

    def _divide(self, records: Sequence[Any], reason: Reason, detail: str) -> None:
        """Leave the halves to be sent after all other parts; a single record has none and is lost."""
        half = len(records) // 2
        if half:
            self._parts += records[:half], records[half:]
        else:
            self._lose(1, reason, detail, which=f" {attempt(self._signal.describe, records[0])}")

    def _lose(self, count: int, reason: Reason, detail: str, *, which: str = "") -> None:
        state.lost[self._signal.name, reason] += count
        if state.may_log_loss():
            records = f"{count} {self._signal.record}{'s' if count > 1 else ''}"
            _log.warning("%s: %s%s: %s", LOST, records, which, " ".join(detail.split())[:_LONGEST_REASON])


def _is_refusal(error: Any, num_bytes: int) -> bool:
    """Whether the receiver would refuse the same request for ever."""
    if error.code() in _CONTENT:
        return True
    expected_again = any(key == _RETRY_INFO for key, _ in error.trailing_metadata() or ())
    if error.code() is not StatusCode.RESOURCE_EXHAUSTED or expected_again:
        return False
    return num_bytes > _LARGEST_REQUEST or bool(_TOO_LARGE.search(error.details() or ""))


def observe_losses() -> None:
    """Count what was lost at every export, zeros included; `configure()` calls this once."""

    def read() -> Iterable[tuple[float, Labels]]:
        return [
            (count, {catalogue.SIGNAL.key: signal, catalogue.LOSS.key: reason})
            for (signal, reason), count in state.lost.items()
        ]

    observe(catalogue.LOST, read)
