"""Every public call of otel_tutor, each with whatever values chance gives it.

A call returns, or raises what the app raised inside of it: the same object. Configuration may raise ConfigurationError.
"""

import asyncio
import functools
import logging
import random
import sys
from collections.abc import Callable
from types import GeneratorType, MappingProxyType
from typing import Any, Final

from opentelemetry import trace

import otel_tutor
from otel_tutor import ConfigurationError
from otel_tutor.health import (
    DatabaseCheck,
    DiskCheck,
    HealthCheck,
    HealthService,
    HealthStatus,
    MemoryCheck,
    ModelCheck,
    SyncHealthCheck,
    VectorStoreCheck,
    health_routes,
)
from otel_tutor.logs import TraceFormatter
from otel_tutor.monitoring import metrics_collector, track_async_time, track_time
from otel_tutor.prices import Prices
from otel_tutor.rag import evaluate, feedback, observe_question
from otel_tutor.settings import Settings
from otel_tutor.tracing import (
    add_span_event,
    get_current_trace_id,
    rag_tracer,
    trace_async_function,
    trace_function,
    trace_headers,
    trace_model_inference,
    trace_operation,
)
from tests.fuzz.values import AppError, any_error, any_value

__all__ = ["CALLS", "Chance", "EscapedError"]


class EscapedError(Exception):
    """An exception that otel_tutor let through or made, or one of the app's that it changed."""


class Chance:
    """What is drawn for one call."""

    def __init__(self, chance: random.Random) -> None:
        self.random = chance

    def value(self) -> Any:
        """Any value."""
        return any_value(self.random)

    def values(self, count: int) -> list[Any]:
        """So many."""
        return [any_value(self.random) for _ in range(count)]

    def __call__(self, probability: float = 0.5) -> bool:
        return self.random.random() < probability


class Fails:
    """The app's own code in a block: now and then it raises."""

    def __init__(self, chance: Chance) -> None:
        self.error = any_error(chance.random) if chance(0.3) else None
        if isinstance(self.error, StopIteration | StopAsyncIteration):  # which Python changes itself in a generator
            self.error = AppError("in its place")

    def run(self) -> None:
        """Raise, or do not."""
        if self.error is not None:
            raise self.error


def passing(act: Callable[[Fails], object], chance: Chance) -> None:
    """Run code of the app inside of ours. What it raises comes out as it is, and nothing else does."""
    app = Fails(chance)
    try:
        act(app)
    except BaseException as error:
        if error is not app.error:
            raise EscapedError("not the app's exception") from error
    else:
        if app.error is not None:
            raise EscapedError("the app's exception was swallowed")


def collect(name: str, count: int) -> Callable[[Chance], None]:
    """A call of the collector."""
    return lambda chance: getattr(metrics_collector, name)(*chance.values(count))


def operation(chance: Chance) -> None:
    """A block, which the app records in."""

    def act(app: Fails) -> None:
        with trace_operation(*chance.values(2)) as span:
            record_in(span, chance)
            app.run()

    passing(act, chance)


def record_in(span: trace.Span, chance: Chance) -> None:
    """What an app may do with a span that it was given."""
    match chance.random.randrange(8):
        case 0:
            span.set_attribute(*chance.values(2))
        case 1:
            span.set_attributes(chance.value())
        case 2:
            span.add_event(*chance.values(2))
        case 3:
            span.update_name(chance.value())
        case 4:
            span.set_status(*chance.values(2))
        case 5:
            span.record_exception(any_error(chance.random), chance.value())
        case 6:
            span.add_link(*chance.values(2))
        case _:
            span.end(chance.value())


def decorated(decorate: Callable[[Any], Any], chance: Chance) -> None:
    """Functions of each kind, and what is none."""
    kind = chance.random.randrange(6)
    given = chance.value()

    def act(app: Fails) -> None:
        def plain(value: Any) -> Any:
            app.run()
            return value

        def generate(value: Any) -> Any:
            yield value
            app.run()

        async def await_(value: Any) -> Any:
            app.run()
            return value

        async def agenerate(value: Any) -> Any:
            yield value
            app.run()

        if kind == 0:
            same(decorate(plain)(given), given)
        elif kind == 1:
            assert [item is given for item in decorate(generate)(given)] == [True]
        elif kind == 2:
            assert run(decorate(await_)(given)) is given
        elif kind == 3:
            run(exhaust(decorate(agenerate)(given)))
        elif kind == 4:
            same(decorate(functools.partial(plain, given))(), given)
        else:
            decorate(chance.value())
            app.run()

    passing(act, chance)


def same(returned: object, given: object) -> None:
    """What a function returns is returned; what goes on afterwards is observed until it ends."""
    goes_on = hasattr(type(given), "__await__") or issubclass(type(given), GeneratorType)
    if not goes_on and returned is not given:
        raise EscapedError("another result")


def timed(make: Callable[..., Any], chance: Chance) -> Any:
    """The decorator of a name; what can be called is decorated at once."""
    name, labels = chance.values(2)
    if callable(name):
        make(name, labels)
        return track_time("named", labels)
    return make(name, labels)


def run(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value


async def exhaust(pieces: Any) -> None:
    """Take all pieces."""
    async for _ in pieces:
        pass


def question(chance: Chance) -> None:
    """A question with its steps, each with anything."""

    def act(app: Fails) -> None:
        with observe_question(*chance.values(3), conversation_id=chance.value()) as asked:
            if chance():
                with asked.retrieval(*chance.values(1)) as retrieval:
                    retrieval.documents, retrieval.score = chance.values(2)
            if chance():
                asked.subject, asked.topic, asked.documents, asked.cited = chance.values(4)
            if chance():
                generate(asked, chance, app)
            asked.guardrail(*chance.values(2))
            asked.evaluate(*chance.values(4))
            asked.feedback(*chance.values(2))
            _ = asked.reference, asked.retrieval_seconds, asked.generation_seconds
            app.run()

    passing(act, chance)


def generate(asked: Any, chance: Chance, app: Fails) -> None:
    """An answer, in a block or as a stream."""
    names = ("provider", "prompt", "prompt_version", "tokenizer")
    generation = asked.generation(*chance.values(3), **{name: chance.value() for name in names if chance()})
    if chance():
        with generation:
            generation.read(chance.value())
            for name in ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens", "finish_reason"):
                if chance():
                    setattr(generation, name, chance.value())
            app.run()
        return
    pieces = chance.values(3)

    def stream() -> Any:
        yield from pieces
        app.run()

    taken = list(generation.stream(stream()))
    if len(taken) != len(pieces) or any(one is not other for one, other in zip(taken, pieces, strict=True)):
        raise EscapedError("a stream is not what it was")


def odd_stream(chance: Chance) -> None:
    """A stream of what is none: iterating it fails as it would without us."""
    with observe_question("why?", "physics") as asked:
        pieces = chance.value()
        try:
            observed = asked.generation("llama-3").stream(pieces)
        except BaseException as error:
            raise EscapedError("before it was iterated") from error
        del observed


def by_hand(chance: Chance) -> None:
    """The steps of `rag_tracer`."""

    def act(app: Fails) -> None:
        with (
            rag_tracer.trace_rag_query(*chance.values(2)) as span,
            rag_tracer.trace_retrieval(*chance.values(2)),
            rag_tracer.trace_generation(*chance.values(1)),
            trace_model_inference(*chance.values(3)),
        ):
            record_in(span, chance)
            add_span_event(*chance.values(2))
            _ = get_current_trace_id(), trace_headers()
            app.run()

    passing(act, chance)


def log(chance: Chance) -> None:
    """A line with arguments and values of any kind."""
    logger = logging.getLogger(f"fuzz.{chance.random.randrange(20)}")
    names = chance.random.sample(["student", "event.name", "a b", "text", "otel.event.name", "x" * 300, "\ud800", ""], 3)
    extra = {name: chance.value() for name in names} if chance() else None
    options: dict[str, Any] = {"extra": extra}
    if chance(0.2):
        try:
            raise any_error(chance.random)
        except BaseException:
            options["exc_info"] = chance() or sys.exc_info()
    arguments = chance.values(chance.random.randrange(3))
    message = chance.value() if chance(0.3) else "%s and %s"[: len(arguments) * 7]
    logger.log(chance.random.choice([20, 30, 40, 50, 25, 10**9]), message, *arguments, **options)


def log_as(chance: Chance) -> None:
    """A record that was made from a dictionary, as queues and other processes do it."""
    values = {"name": "fuzz", "msg": "text", "levelno": 20, "args": None}
    values |= {name: chance.value() for name in chance.random.sample([*values, "levelname", "created", "exc_info"], 2)}
    record = logging.makeLogRecord(values)
    logging.getLogger("fuzz").handle(record)


def formatter(chance: Chance) -> None:
    """A console's line. What logging raises for a record that it cannot format, its handlers catch."""
    record = logging.makeLogRecord({"name": "fuzz", "msg": "text"})
    TraceFormatter().format(record)


def configuring(make: Callable[[Chance], object]) -> Callable[[Chance], None]:
    """A call that may refuse what it is given."""

    def act(chance: Chance) -> None:
        try:
            make(chance)
        except ConfigurationError as error:
            str(error)

    return act


VARIABLES: Final = (
    *(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_SDK_DISABLED",
    ),
    *(
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_TUTOR_CARDINALITY_LIMITS",
        "OTEL_SERVICE_NAME",
    ),
    *("OTEL_TUTOR_PRICES", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_EXPORTER", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
)


def environment(chance: Chance) -> object:
    """Settings of variables that have any text."""
    texts = [chance.value() for _ in range(3)]
    values = [text.replace("\x00", "") if type(text) is str and len(text) < 10_000 else "7" for text in texts]
    return Settings.read(environ=dict(zip(chance.random.sample(VARIABLES, 3), values, strict=True)))


def arguments(chance: Chance) -> object:
    """Settings of any arguments."""
    names = ("service_name", "endpoint", "cardinality_limits", "prices")
    return Settings.read(**{name: chance.value() for name in names if chance()}, environ=MappingProxyType({}))


def prices(chance: Chance) -> object:
    """Prices of any shape."""
    row = {name: chance.value() for name in ("input", "output", "cache_read") if chance(0.8)}
    whole = {
        "currency": chance.value() if chance(0.2) else "USD",
        "models": {"llama-3": row} if chance() else chance.value(),
    }
    return Prices.read(whole if chance(0.8) else chance.value(), "prices")


class Looking(HealthCheck):
    """Returns or raises whatever it is given."""

    def __init__(self, answer: Any, error: BaseException | None) -> None:
        super().__init__("looking")
        self.answer, self.error = answer, error

    async def check(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.answer


class LookingInAThread(SyncHealthCheck):
    """The same in a thread."""

    def __init__(self, answer: Any, error: BaseException | None) -> None:
        super().__init__("looking-too")
        self.answer, self.error = answer, error

    def check_sync(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.answer


def health(chance: Chance) -> None:
    """Checks that return and raise anything."""
    answer = (
        chance.value()
        if chance()
        else {"status": HealthStatus.HEALTHY, "message": chance.value(), "details": chance.value()}
    )
    error = any_error(chance.random) if chance(0.2) else None
    if isinstance(error, KeyboardInterrupt | SystemExit):
        error = None
    service = HealthService(service=chance.value(), version=chance.value())
    service.register(Looking(answer, error))
    if chance(0.1):
        service.register(LookingInAThread(answer, error))

    async def ask() -> None:
        found = await service.check_health(detailed=chance())
        await service.check_readiness()
        await service.check_liveness()
        if found["status"] not in {"healthy", "degraded", "unhealthy"}:
            raise EscapedError("no status")

    asyncio.run(ask())


def checks(chance: Chance) -> object:
    """Checks that are made of anything."""
    kind = chance.random.choice([DatabaseCheck, DiskCheck, MemoryCheck, ModelCheck, VectorStoreCheck, Looking])
    if kind is Looking:
        return HealthService().register(chance.value())
    if kind in {DatabaseCheck, ModelCheck, VectorStoreCheck} and chance():
        return kind(*chance.values(1))
    if kind is DiskCheck:
        return DiskCheck(path=chance.value(), warning_percent=chance.value(), name=chance.value())
    if kind is MemoryCheck:
        return MemoryCheck(warning_bytes=chance.value(), timeout=chance.value())
    return health_routes(token=chance.value(), loopback=chance.value())


CALLS: Final[dict[str, Callable[[Chance], object]]] = {
    "track_rag_query": collect("track_rag_query", 5),
    "track_model_inference": collect("track_model_inference", 6),
    "track_student_activity": collect("track_student_activity", 2),
    "track_practice_answer": collect("track_practice_answer", 2),
    "track_sync": collect("track_sync", 3),
    "track_vector_search": collect("track_vector_search", 3),
    "set_active_sessions": collect("set_active_sessions", 1),
    "set_model_memory": collect("set_model_memory", 2),
    "set_sync_queue_size": collect("set_sync_queue_size", 1),
    "set_vector_documents": collect("set_vector_documents", 2),
    "trace_operation": operation,
    "trace_operation as a decorator": lambda chance: decorated(trace_operation(*chance.values(2)), chance),  # type: ignore[arg-type]
    "trace_function": lambda chance: decorated(trace_function, chance),
    "trace_async_function": lambda chance: decorated(trace_async_function(), chance),
    "track_time": lambda chance: decorated(timed(track_time, chance), chance),
    "track_async_time": lambda chance: decorated(timed(track_async_time, chance), chance),
    "observe_question": question,
    "stream": odd_stream,
    "rag_tracer": by_hand,
    "evaluate": lambda chance: evaluate(*chance.values(4), subject=chance.value(), explanation=chance.value()),
    "feedback": lambda chance: feedback(*chance.values(3), subject=chance.value()),
    "log": log,
    "makeLogRecord": log_as,
    "TraceFormatter": formatter,
    "environment": configuring(environment),
    "arguments": configuring(arguments),
    "prices": configuring(prices),
    "flush": configuring(lambda chance: otel_tutor.flush(chance.value()) if chance(0.01) else None),
    "configure": configuring(lambda chance: otel_tutor.configure(*chance.values(1))),
    "configure with options": configuring(
        lambda chance: otel_tutor.configure(
            **{name: chance.value() for name in ("engine", "service_name", "endpoint", "prices", "instrument") if chance()}
        )
    ),
    "health": health,
    "checks": configuring(checks),
}
