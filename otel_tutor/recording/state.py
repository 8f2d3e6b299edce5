"""What this process holds, and nothing else in the package: what it was configured with, and what it has seen since.

Every module reads and writes the one `state`. `reset()` forgets what was seen; tests call it. A forked child forgets it too,
and then takes the steps that were registered with `on_fork`, in the order of `ForkStep`.
"""

import contextlib
import itertools
import logging
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any, Final
from weakref import WeakSet

from otel_tutor.catalogue import ATTRIBUTES
from otel_tutor.recording.rate_limit import RateLimit

__all__ = ["ForkStep", "Reason", "record_of", "state"]

_COUNTED_CALLS: Final = 1_000  # an app records a call right after it

_log: Final = logging.getLogger("otel_tutor")


class ForkStep(IntEnum):
    """The steps of a forked child, in their order."""

    FORGET = 1  # first: nothing that the parent saw is left to be exported
    CONTEXT = 2
    HEALTH = 3
    PIPELINE = 4  # last: it starts threads, which may export at once


class Reason(StrEnum):
    """Why a record cannot be sent."""

    TOO_LARGE = "too_large"
    REFUSED = "refused"
    INVALID = "invalid"  # it cannot be encoded


def record_of(instrument: Any) -> Callable[..., None]:
    """What records in a histogram, or adds to a counter."""
    method: Callable[..., None] = getattr(instrument, "record", None) or instrument.add
    return method


class _State:
    """Objects of other packages are `Any` here: this module imports none of them."""

    def __init__(self) -> None:
        # Configured once. A forked child keeps it, and so does reset().
        self.lock = threading.RLock()  # held by configure() and shutdown()
        self.process = os.getpid()  # whose locks are in use: in a child that is forked, another one's at first
        self.inside: set[int] = set()  # the threads that may hold a lock of the SDK
        self.has_ended = False  # shutdown() was called
        self.settings: Any = None
        self.captures = False  # telemetry stays in memory, for tests
        self.providers: Any = None
        self.meter_provider: Any = None  # of our instruments; None for the process's
        self.tracer_provider: Any = None  # of our spans; likewise
        self.logger_provider: Any = None  # of our events; likewise
        self.counted_scopes: set[str] = set()  # first words of the scopes whose spans of calls to models were counted
        self.instrumentations_chosen = False  # which installed ones start
        self.tracer: Any = None  # of our spans, where the provider is ours; None for one that the provider makes
        self.model_spans: Any = None  # which library traces the call of a block
        self.lease: Any = None  # the lock on this process's number
        self.predecessors: dict[str, float] = {}  # instances that have just ended, and until when their names are left alone
        self.logged_no_lease = False
        self.work_arounds: dict[str, bool] = {}  # by name, whether it fits what is installed
        self.limits = {attribute.key: attribute.limit for attribute in ATTRIBUTES}
        self.read_time: Callable[[], float] = time.perf_counter
        self.read_time_ns: Callable[[], int] = time.time_ns  # of our spans
        self.make_recorder: Callable[[Any], Any] = record_of
        self.histograms: dict[str, Any] = {}  # these three by the instrument's name
        self.recorders: dict[str, Any] = {}
        self.counters: dict[str, Any] = {}
        self.timers: set[str] = set()  # the names of functions that are timed
        self.remembered: list[dict[Any, tuple[Any, list[Any]]]] = []  # aggregations by attributes, one for each recorder
        self.propagation: tuple[object, frozenset[bytes]] = (None, frozenset())  # the propagator, and its headers
        self.routes: dict[tuple[int, int], tuple[object, object, Any]] = {}  # app, route and place, by the first two's ids
        self.engines: WeakSet[Any] = WeakSet()
        self.loops: WeakSet[Any] = WeakSet()
        self.health_services: WeakSet[Any] = WeakSet()
        self._fork_steps: dict[ForkStep, Callable[[], None]] = {
            ForkStep.FORGET: self.forget,
            ForkStep.HEALTH: self._begin_health,
        }
        self._fork_watch: object = None
        # Seen since. forget() empties it.
        self.label_values: dict[str, set[str]] = {key: set() for key in self.limits}
        self.overflow: dict[str, int] = dict.fromkeys(self.limits, 0)
        self.gauges: dict[str, dict[str, float]] = {}  # by instrument, then by its one label or ""
        self.requests: dict[int, Any] = {}  # in progress, by id
        self.traffic: dict[tuple[str, str | None], list[int]] = {}  # bytes received and sent, by method and route
        self.connections: dict[int, Any] = {}  # open WebSockets, by id
        self.connection_routes: set[str | None] = set()
        self.messages: Counter[tuple[str | None, str]] = Counter()  # of WebSockets, by route and direction
        self.invalid_logged: dict[str | int | bool, object] = {}  # the instruments whose invalid values were logged
        self.internal_errors = 0
        self.may_log_error, self.may_log_export, self.may_log_loss = RateLimit(), RateLimit(), RateLimit()
        self.may_log_message: dict[tuple[str, str], RateLimit] = {}  # of the SDK, by logger and message
        # Calls to models that libraries traced, by trace and model, which the app may record as well; the latest only.
        # Searches in vector stores are among them.
        self.counted_calls: OrderedDict[tuple[int, str], list[None]] = OrderedDict()
        self.uncounted: dict[str, Any] = {}  # by collection of a vector store, what counts its documents at the next export
        self.counting: Any = None  # the thread that counts them
        self.lost = dict.fromkeys(itertools.product(("traces", "metrics", "logs"), Reason), 0)  # records that cannot be sent

    def forget(self) -> None:
        """Start over with what was seen: label values, stated numbers, requests, connections, errors."""
        for values in self.label_values.values():
            values.clear()
        self.overflow = dict.fromkeys(self.limits, 0)
        self.counted_calls.clear()
        self.uncounted.clear()
        seen: Any
        for seen in (self.gauges, self.requests, self.traffic, self.connections, self.connection_routes, self.messages):
            seen.clear()
        self.invalid_logged.clear()
        self.internal_errors = 0
        self.may_log_error, self.may_log_export, self.may_log_loss = RateLimit(), RateLimit(), RateLimit()
        self.may_log_message.clear()
        self.lost = dict.fromkeys(self.lost, 0)

    def note_counted(self, trace_id: int, model: str) -> None:
        """Note that a call to a model in this trace was counted from the span of a library."""
        # Threads note at the same time. Each step is one that no thread interrupts, so no lock is held over a fork.
        self.counted_calls.setdefault((trace_id, model), []).append(None)
        while len(self.counted_calls) > _COUNTED_CALLS:
            with contextlib.suppress(KeyError):  # another thread took the last
                self.counted_calls.popitem(last=False)

    def take_counted(self, trace_id: int, model: str) -> bool:
        """Whether such a call is there that the app has not recorded as well; it has now."""
        notes = self.counted_calls.get((trace_id, model), [])
        with contextlib.suppress(IndexError):
            notes.pop()
            return True
        return False

    def reset(self, read: Callable[[], object]) -> None:
        """Forget what was seen, the results of health checks included; for tests.

        `read` is called while the totals are 0 and still there: a reader of differences must see them go back to 0.
        """
        for totals in self.traffic.values():
            totals[:] = [0, 0]
        self.messages = Counter(dict.fromkeys(self.messages, 0))
        self.overflow = dict.fromkeys(self.limits, 0)
        self.lost = dict.fromkeys(self.lost, 0)
        read()
        self.forget()
        for service in list(self.health_services):
            service.forget()

    def on_fork(self, step: ForkStep, act: Callable[[], None]) -> None:
        """Have every forked child call `act` at that step."""
        self._fork_steps[step] = act

    def watch_forks(self) -> None:
        """Have every child that is forked from now on take its steps; nothing where the system does not fork.

        Called again, the steps come after the handlers that other libraries registered meanwhile, and still only once.
        """
        self.process = os.getpid()
        if hasattr(os, "register_at_fork"):
            watch = self._fork_watch = object()
            os.register_at_fork(after_in_child=lambda: self._begin_child() if self._fork_watch is watch else None)

    @property
    def watches_forks(self) -> bool:
        """Whether `watch_forks` was called."""
        return self._fork_watch is not None

    def _begin_health(self) -> None:
        for service in list(self.health_services):
            service.begin_life()

    def _begin_child(self) -> None:
        self.lock = threading.RLock()  # a thread of the parent may have held it
        self.inside.clear()
        for step, act in sorted(self._fork_steps.items()):
            try:
                act()
            except Exception as error:  # the child must live, and take the other steps
                _log.warning("a forked child failed at %s: %s: %s", step.name, type(error).__name__, error)
        self.process = os.getpid()


state: Final = _State()
