"""`configure()` joins what an app records with what exports it; `shutdown()` undoes it."""

import atexit
import dataclasses
import functools
import logging
import os
import threading
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_tutor.catalogue import ATTRIBUTES
from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.instrumentation.database import observe_engine, observe_pools, sync_engines
from otel_tutor.instrumentation.installed import choose, start_all
from otel_tutor.instrumentation.threads import propagate_context
from otel_tutor.prices import Prices
from otel_tutor.recording.instruments import observe_overflow, set_recorder_factory
from otel_tutor.recording.operation import tracer
from otel_tutor.recording.state import ForkStep, state
from otel_tutor.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from otel_tutor.pipeline import Exporters, Providers

__all__ = ["configure", "flush", "shutdown"]

_log: Final = logging.getLogger("otel_tutor")

SHUTDOWN_SECONDS: Final = 3.0  # servers are killed soon after: Kubernetes gives 30 s in all, and most of it is the app's


def configure(
    app: "Starlette | None" = None,
    *,
    engine: Any = None,
    service_name: str | None = None,
    endpoint: str | None = None,
    cardinality_limits: Mapping[str, int] | None = None,
    prices: str | Path | Mapping[str, Any] | None = None,
    instrument: bool | Iterable[str] | None = None,
) -> None:
    """Make this process observable; call it once, at start, before the first request.

    app: a Starlette or FastAPI application; its requests are measured and traced, outside of all its middleware. What is put
        around it by hand is not seen: requests that such a middleware answers itself are missing.
    engine: a SQLAlchemy engine, sync or async; its statements are traced.
    service_name: the `job` label in Prometheus and the service in Jaeger; else `OTEL_SERVICE_NAME`, else "tutor".
    endpoint: of the Collector, for OTLP; else `OTEL_EXPORTER_OTLP_ENDPOINT`, else http://localhost:4317, or port 4318 with
        `OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`.
    cardinality_limits: how many values one process may give an attribute before further ones are recorded as `_OTHER`, e.g.
        {"tutor.topic": 1000}; else `OTEL_TUTOR_CARDINALITY_LIMITS`, e.g. "tutor.topic=1000,http.route=500"; else those of
        `otel_tutor/catalogue.py`.
    prices: of models, as the path of a YAML file or a mapping like it (`otel_tutor/prices.py` has an example); else the file
        that `OTEL_TUTOR_PRICES` names. Without either no cost is recorded. A file needs `pip install 'otel-tutor[prices]'`.
    instrument: which installed instrumentations of OpenTelemetry start, e.g. ["httpx", "redis"]; False for none, else all.
        They are named as in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`, which takes single ones out.

    Everything else is set by the standard `OTEL_*` variables. A Collector that is down delays telemetry and nothing else.
    Values are cut at 65,536 characters, or at `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`: attributes, log bodies, descriptions,
    messages and stack traces of exceptions. For attributes of spans, `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` comes first,
    for log records `OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT`. Text that UTF-8 cannot hold is replaced.
    Called again, it adds a further app or engine and starts instrumentations that it names. What it does not name stays as
    it was. A service name, an endpoint or limits that differ from the first are not used, which is one line of log.

    It changes the process in these ways, unless `OTEL_SDK_DISABLED` is true:
    - It sets `OTEL_SEMCONV_STABILITY_OPT_IN=http,database` and `GRPC_VERBOSITY=NONE`, where they are not set. Processes that
      it starts inherit both. With the first, other OpenTelemetry instrumentations of the process use the stable names too.
    - Log records are exported once the app's handlers have had them: `logging.Logger.callHandlers` is wrapped. No handler is
      added and no level is changed, so what is printed stays as it is, and logging may be set up before or after. Levels of
      loggers decide what is exported, from INFO up; levels of handlers do not. Access logs of servers are left out.
    - What loguru and structlog write past logging is exported as well. loguru gets a sink, which `logger.remove()` leaves in
      place, and the methods of structlog's own loggers are wrapped.
    - While no logging is set up, Python prints warnings only. INFO records are exported all the same: for that,
      `logging.Logger.isEnabledFor` is wrapped. Once logging is set up, Python's default level of WARNING holds for the
      export too: `logging.basicConfig(level=logging.INFO)` exports INFO.
    - The loggers `opentelemetry` and `grpc` no longer propagate: one line a minute about failing exports goes to logger
      `otel_tutor`, and each other message to the handlers of the root logger once a minute.
    - Jobs of executors are in the trace that they are submitted in. Threads are in that of their start until the span there
      ends. For this, `start` and `run` of `threading.Thread` and `submit` of `ThreadPoolExecutor` are wrapped. A forked
      child begins outside of any trace.
    - Entering and leaving `asyncio.Timeout` are wrapped, which tells a deadline that passed from a client that went away.
    - `os._exit` is wrapped: forked children end by it, of `multiprocessing`, Celery and RQ too, and send what is left before
      they do, within 3 seconds, in which SIGTERM has no effect. Those that are terminated before do not.
    - What `app` builds at its first request by `build_middleware_stack` is wrapped. The app, and FastAPI apps that are
      mounted in it, no longer measure requests themselves. OpenTelemetry's own instrumentors find it marked as instrumented,
      and `OpenTelemetryMiddleware.__call__` is wrapped: around the app or in it, it leaves requests to us.
    - Vector stores are observed as they are imported, by a hook of wrapt in `sys.meta_path`: methods of chromadb, lancedb,
      qdrant-client and faiss that search or change are wrapped. With sqlite_vec, `sqlite3.connect` is wrapped and gives a
      subclass of what it gave. With SQLAlchemy, its Engine gets listeners. This instrumentation is named `vector_stores`.
    - Requests of models' clients are counted: `Client.send` and `AsyncClient.send` of httpx and httpx2 are wrapped as they
      are imported. This instrumentation is named `model_requests`.
    - Background tasks of Starlette and FastAPI become spans: `BackgroundTask.__call__` is wrapped.

    Where another library has set providers before, they are joined: they keep their resource, and pass what is recorded to
    our exporters as well. A provider that takes none is named in one line of log. Then what is recorded here goes past it to
    our exporters, and its own records do not reach us.

    Raises ConfigurationError, before anything is changed, for a value that cannot be used.
    """
    _check_app(app)
    engines = sync_engines(engine)
    instrumentations = []
    if instrument is not None or not state.instrumentations_chosen:
        instrumentations = choose(True if instrument is None else instrument)
    given: dict[str, Any] = {
        "service_name": service_name,
        "endpoint": endpoint,
        "cardinality_limits": cardinality_limits,
        "prices": prices,
    }
    settings = Settings.read(**given)
    with state.lock:
        start(settings, given=frozenset(name for name, value in given.items() if value is not None))
        if app is not None:
            _observe_app(app)
        if state.providers is not None:
            from otel_tutor.pipeline import trace_engine

            state.instrumentations_chosen = True
            start_all(instrumentations, tracer_provider=state.tracer_provider, meter_provider=state.meter_provider)

            for sync_engine in engines:
                observe_engine(sync_engine, trace_engine)


@refusing("app")
def _check_app(app: "Starlette | None") -> None:
    if app is not None and not _is_application(app):
        raise ConfigurationError(f"app={app!r} is not an application: pass a Starlette or FastAPI object, or leave it out")
    if app is not None and app.middleware_stack is not None:
        raise ConfigurationError(f"app={app!r} is already serving: call configure() before its first request or lifespan")


def _is_application(app: object) -> bool:
    """Whether it is a Starlette or FastAPI object. StarletteInstrumentor replaces the class by a subclass."""
    names = [(base.__module__, base.__name__) for base in type(app).__mro__]
    return ("starlette.applications", "Starlette") in names


def flush(timeout: float = SHUTDOWN_SECONDS) -> bool:
    """Send what this process holds, now, e.g. at the end of a job, or before a function's process is frozen.

    timeout: seconds that this may take at most; telemetry that is not sent by then is sent later.
    Returns whether that was time enough; True where there is nothing to send.

    Raises ConfigurationError for a timeout that is not a number of seconds from 0.
    """
    with refusing("timeout"):
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
            raise ConfigurationError(f"timeout={timeout!r} is not a number of seconds from 0: pass e.g. {SHUTDOWN_SECONDS}")
    if state.providers is None or state.captures:  # in memory it is there already, and a flush would drop it
        return True
    return bool(state.providers.flush(min(timeout, threading.TIMEOUT_MAX)))


def shutdown() -> None:
    """Send what is left and stop, within 3 seconds, Collector up or down. Runs by itself when Python exits.

    It is for good: OpenTelemetry's providers are set once in a process.
    """
    # Another thread may be at configure(), or at this: that has its time, and no more.
    if not state.lock.acquire(timeout=SHUTDOWN_SECONDS):
        return
    try:
        if state.providers is not None:
            state.providers.shutdown(SHUTDOWN_SECONDS)
            state.providers, state.has_ended = None, True
    finally:
        state.lock.release()


def start(settings: Settings, exporters: "Exporters | None" = None, given: Set[str] = frozenset()) -> None:
    """Start the pipeline unless it runs already; `exporters` replaces OTLP, for tests. given: what a caller set by name."""
    if state.settings is None:
        state.process = os.getpid()  # which may be a child of one that was not configured
        if not settings.disabled:
            _start_pipeline(settings, exporters)
        state.watch_forks()  # after the SDK has registered its own handlers: it runs after them
        state.settings, state.captures = settings, exporters is not None
    elif state.captures:
        state.settings = _with_prices(settings, state.settings.prices)  # each test may have its own app
    else:
        state.settings = _with_prices(state.settings, settings.prices)
        _name_what_differs(state.settings, settings, given)
        return
    state.limits = {attribute.key: attribute.limit for attribute in ATTRIBUTES} | dict(settings.cardinality_limits)


def _with_prices(settings: Settings, prices: Prices | None) -> Settings:
    """`settings`, with these prices where they have none: a worker's module may name them, and the app's may not."""
    return dataclasses.replace(settings, prices=settings.prices or prices)


def _name_what_differs(before: Settings, now: Settings, given: Set[str]) -> None:
    """Log the values of a later call that are not used."""
    for name in sorted(given):
        used, value = getattr(before, name), getattr(now, name)
        if used != value:
            message = "%s=%r is not used, this process was configured with %r: call configure() with one of them"
            _log.warning(message, name, value, used)


def _start_pipeline(settings: Settings, exporters: "Exporters | None") -> None:
    # Instrumentations read this once: stable names (HTTP, database) instead of the ones before 2024.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    # gRPC's core prints past logging, a dozen lines for every refused handshake; what it says is in our line as well.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from otel_tutor import pipeline

    pipeline.try_all()
    neighbours = pipeline.Neighbours.find()
    make_resource = functools.partial(pipeline.make_resource, settings)
    built = pipeline.Providers.build(settings, exporters or pipeline.make_exporters(settings), make_resource(), neighbours)
    built.make_global()
    state.meter_provider, state.tracer_provider, state.logger_provider = built.meter, built.tracer, built.logger
    state.tracer, state.model_spans = built.own_tracer, built.model_spans
    tracer.cache_clear()
    line, is_to_fix = neighbours.describe(settings)
    if line:
        _log.log(logging.WARNING if is_to_fix else logging.INFO, "%s", line)
    state.on_fork(ForkStep.PIPELINE, lambda: built.reset_after_fork(make_resource))
    pipeline.throttle_sdk_logs()
    set_recorder_factory(pipeline.cached_recording)
    state.providers, state.has_ended = built, False
    atexit.register(shutdown)
    pipeline.shut_down_before_exit(shutdown)
    propagate_context()
    _observe_app_state()
    pipeline.observe_losses()
    pipeline.observe_process()


def providers() -> "Providers | None":
    """The running pipeline, or None before `configure()`, after `shutdown()` and with `OTEL_SDK_DISABLED`."""
    running: Providers | None = state.providers
    return running


def settings_in_effect() -> Settings | None:
    """What this process was configured with, or None before `configure()`."""
    settings: Settings | None = state.settings
    return settings


def _observe_app_state() -> None:
    from otel_tutor.health import health_service
    from otel_tutor.health.observation import observe_health
    from otel_tutor.instrumentation.asgi import observe_requests_in_progress
    from otel_tutor.instrumentation.background import trace_background_tasks
    from otel_tutor.monitoring import metrics_collector

    metrics_collector.start_observing()
    observe_overflow()
    observe_requests_in_progress()
    trace_background_tasks()
    observe_pools()
    observe_health(health_service)


def _observe_app(app: "Starlette") -> None:
    from otel_tutor.instrumentation.application import observe_app

    observe_app(app, at_end=flush)
    # FastAPI from 0.150 measures requests itself as soon as providers are set, outside everything that can be put around it.
    native = getattr(app, "_telemetry", None)
    if isinstance(native, dict):
        native.update(tracing=False, metrics=False, logs=False)
