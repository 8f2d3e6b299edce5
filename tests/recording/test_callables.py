"""Every kind of callable is observed when it is called, and is to frameworks what it was."""

import asyncio
import copy
import dataclasses
import enum
import functools
import inspect
import operator
import pickle
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest
import wrapt
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from otel_tutor.monitoring import track_time
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_async_function, trace_function


def names(captured: Capture) -> list[str]:
    """The last words of the spans' names."""
    return [span.name.rsplit(".", 1)[-1] for span in captured.spans]


def add(first: int, second: int = 2) -> int:
    return first + second


async def add_later(first: int, second: int = 2) -> int:
    await asyncio.sleep(0)
    return first + second


class Adder:
    """An object that is called."""

    extra = 5

    def __call__(self, number: int) -> int:
        return number + self.extra


class AsyncAdder(Adder):
    async def __call__(self, number: int) -> int:  # type: ignore[override]  # another kind of call
        await asyncio.sleep(0)
        return number + self.extra


class Pages:
    def __call__(self) -> Iterator[int]:
        yield 1
        yield 2


class AsyncPages:
    async def __call__(self) -> AsyncIterator[int]:
        yield 1
        yield 2


@wrapt.decorator
def unchanged(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
    """Another library's decorator."""
    return wrapped(*args, **kwargs)


# What is called, with what, what it gives, and the name of its span.
CALLED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], object, str]] = {
    "partial": (functools.partial(add, 1), (3,), 4, "add"),
    "partial of a partial": (functools.partial(functools.partial(add, 1), 3), (), 4, "add"),
    "object": (Adder(), (1,), 6, "Adder"),
    "bound method": (Adder().__call__, (1,), 6, "__call__"),
    "builtin": (len, ([1],), 1, "len"),
    "method of a builtin": ([3].index, (3,), 0, "index"),
    "getter": (operator.itemgetter(0), ([7],), 7, "itemgetter"),
    "built-in class": (int, ("3",), 3, "int"),
    "cached function": (functools.lru_cache(add), (1,), 3, "add"),
    "another decorator's": (unchanged(add), (1,), 3, "add"),
    "universal function": (np.add, (1, 2), 3, "add"),
}


@pytest.mark.parametrize("kind", CALLED)
def test_a_call_gives_what_it_gave_and_is_one_span(captured: Capture, kind: str) -> None:
    called, arguments, result, name = CALLED[kind]
    traced = trace_function()(called)

    assert traced(*arguments) == result
    assert names(captured) == [name]
    assert isinstance(traced, called.__class__)
    assert callable(traced)


@pytest.mark.parametrize("kind", CALLED)
def test_a_call_is_timed(captured: Capture, kind: str) -> None:
    called, arguments, result, _ = CALLED[kind]

    assert track_time("work")(called)(*arguments) == result
    assert [point.count for point in captured.read_metrics()["work.duration"]] == [1]


KINDS: list[Callable[[Any], bool]] = [
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isbuiltin,
]


@pytest.mark.parametrize(
    "called",
    [functools.partial(add_later, 1), functools.partial(add), add_later, Adder(), len],
    ids=["async partial", "partial", "function", "object", "builtin"],
)
def test_what_frameworks_ask_of_a_callable_is_answered_as_before(captured: Capture, called: Any) -> None:
    traced: Any = trace_function()(called)

    assert [check(traced) for check in KINDS] == [check(called) for check in KINDS]
    assert inspect.signature(traced) == inspect.signature(called)


@pytest.mark.parametrize("called", [Adder(), AsyncAdder(), Pages(), AsyncPages()], ids=lambda called: type(called).__name__)
def test_they_may_also_ask_for_the_call_of_an_object(captured: Capture, called: Any) -> None:
    traced: Any = trace_function()(called)

    assert [check(traced.__call__) for check in KINDS] == [check(called.__call__) for check in KINDS]
    assert inspect.signature(traced.__call__) == inspect.signature(called.__call__)


async def read(pages: Any) -> list[int]:
    return [page async for page in pages] if hasattr(pages, "__aiter__") else list(pages)


def test_objects_whose_call_is_async_or_a_generator_are_traced_to_its_end(captured: Capture) -> None:
    traced = trace_async_function()(AsyncAdder())

    assert asyncio.run(traced(1)) == 6
    assert asyncio.run(read(trace_function()(Pages())())) == [1, 2]
    assert asyncio.run(read(trace_function()(AsyncPages())())) == [1, 2]
    assert names(captured) == ["AsyncAdder", "Pages", "AsyncPages"]
    assert (traced.extra, isinstance(traced, AsyncAdder)) == (5, True)


class Tutor:
    """Each member is decorated above or below what else it is."""

    count = trace_function()(len)  # a builtin does not become a method

    @trace_function()
    def plain(self) -> "Tutor":
        return self

    @trace_function()
    @staticmethod
    def static() -> int:
        return 1

    @staticmethod
    @trace_function()
    def static_below() -> int:
        return 1

    @trace_function()
    @classmethod
    def of_class(cls) -> type:
        return cls

    @classmethod
    @trace_function()
    def of_class_below(cls) -> type:
        return cls

    @trace_function()  # type: ignore[prop-decorator]  # types know no properties that are decorated
    @property
    def value(self) -> int:
        return 2

    @property
    @trace_function()
    def value_below(self) -> int:
        return 2

    @trace_function()  # type: ignore[prop-decorator]
    @functools.cached_property
    def kept(self) -> int:
        return 3

    @trace_function()
    @functools.lru_cache  # noqa: B019 - it lives as long as the test
    def remembered(self, number: int) -> int:
        return number

    @trace_function()
    @unchanged
    def wrapped(self, number: int) -> tuple["Tutor", int]:
        return self, number

    @trace_function()  # type: ignore[type-var]
    @functools.singledispatchmethod
    def dispatched(self, _: object) -> str:
        return "any"

    partial = trace_function()(functools.partialmethod(wrapped, 7))  # type: ignore[type-var]


def test_members_of_a_class_are_what_they_were(captured: Capture) -> None:
    tutor: Any = Tutor()

    assert tutor.count([1, 2]) == 2
    assert tutor.plain() is tutor
    assert (tutor.static(), Tutor.static(), tutor.static_below()) == (1, 1, 1)
    assert (tutor.of_class(), tutor.of_class_below()) == (Tutor, Tutor)
    assert (tutor.value, tutor.value_below, tutor.kept, tutor.kept) == (2, 2, 3, 3)
    assert (tutor.remembered(4), tutor.remembered(4), Tutor.remembered.cache_info().hits) == (4, 4, 1)
    assert (tutor.wrapped(5), tutor.partial()) == ((tutor, 5), (tutor, 7))
    assert tutor.dispatched(1) == "any"
    expected = [
        "len",
        "plain",
        *["static"] * 2,
        "static_below",
        "of_class",
        "of_class_below",
        "value",
        "value_below",
        "kept",
    ]
    assert names(captured) == [*expected, *["remembered"] * 2, "wrapped", "wrapped", "wrapped", "dispatched"]


@trace_function()
class Lesson:
    def __init__(self, pages: int) -> None:
        self.pages = pages


class LongLesson(Lesson):
    def __init__(self) -> None:
        super().__init__(100)


@trace_function()
class Inherited(Lesson):
    pass


class Aside:
    def __init__(self, pages: int) -> None:
        self.aside = pages


class Both(Inherited, Aside):
    pass


@trace_function()
@dataclasses.dataclass
class Card:
    number: int = 1


@trace_function()
class Point(NamedTuple):
    across: int


@trace_function()
class Level(enum.Enum):
    BASIC = 1


@trace_function()
class LessonError(Exception):
    pass


def test_a_class_stays_the_same_class_and_its_construction_is_a_span(captured: Capture) -> None:
    lesson = Lesson(2)

    assert (lesson.pages, type(lesson), isinstance(lesson, Lesson)) == (2, Lesson, True)
    assert names(captured) == ["Lesson"]
    assert (Inherited(3).pages, LongLesson().pages, Both(4).pages) == (3, 100, 4)
    assert pickle.loads(pickle.dumps(lesson)).pages == 2
    assert str(inspect.signature(Lesson)) == "(pages: int) -> None"


def test_classes_that_are_made_in_other_ways_work_as_before(captured: Capture) -> None:
    assert (Card(2).number, Point(3).across, Level(1), Level.BASIC.value) == (2, 3, Level.BASIC, 1)
    assert {"Card", "Point"} <= set(names(captured))
    with pytest.raises(LessonError, match="no page"):
        raise LessonError("no page")


def test_what_cannot_be_called_is_returned_as_it_is(captured: Capture) -> None:
    values: list[Any] = [None, 5, "text", [1]]

    assert [trace_function()(value) for value in values] == values
    assert [track_time("work")(value) for value in values] == values


def test_a_proxy_is_copied_and_sent_as_what_it_stands_for(captured: Capture) -> None:
    traced = trace_function()(functools.partial(add, 1))

    assert pickle.loads(pickle.dumps(traced))(1) == 2
    assert (copy.copy(traced)(1), copy.deepcopy(traced)(1)) == (2, 2)
    assert names(captured) == ["add", "add"]  # of the copies


def test_decorators_may_stand_without_parentheses(captured: Capture) -> None:
    @trace_function
    def plain() -> int:
        return 1

    @trace_async_function
    async def later() -> int:
        return 2

    @track_time  # type: ignore[arg-type]  # a name is missing, and is the function's
    def timed() -> int:
        return 3

    assert (plain(), asyncio.run(later()), timed()) == (1, 2, 3)  # type: ignore[call-arg]
    assert names(captured) == ["plain", "later"]
    assert [name for name in captured.read_metrics() if name.endswith("timed.duration")] != []


def test_a_generator_based_coroutine_can_still_be_awaited(captured: Capture) -> None:
    @trace_function()
    @types.coroutine
    def old() -> Any:
        yield
        return 5

    async def use() -> object:
        return await old()

    assert asyncio.run(use()) == 5
    assert names(captured) == ["old"]


def test_fastapi_takes_decorated_callables_as_endpoints_and_dependencies(captured: Capture) -> None:
    class Page:
        def __init__(self, page: int = 1) -> None:
            self.page = page

    app = FastAPI()

    @app.get("/")
    @trace_function()
    async def endpoint(
        page: Annotated[Page, Depends(trace_function()(Page))],
        number: Annotated[int, Depends(trace_function()(AsyncAdder()))],
        total: Annotated[int, Depends(trace_function()(functools.partial(add, 1)))],
    ) -> list[int]:
        return [page.page, number, total]

    reply = TestClient(app).get("/", params={"page": 3, "number": 4, "first": 5, "second": 6})

    assert reply.json() == [3, 9, 7]
    assert {"Page", "AsyncAdder", "add", "endpoint"} <= set(names(captured))


@pytest.mark.parametrize("name", [None, 7, "", "two words", "2fast", "x" * 500, object(), b"work"])
def test_any_name_and_labels_time_a_function(captured: Capture, name: Any) -> None:
    for labels in (None, 5, {1: object(), "level": "basic"}, [("level", 2)]):
        assert track_time(name, labels)(add)(1) == 3  # type: ignore[arg-type]

    timed = {name: points for name, points in captured.read_metrics().items() if name.endswith(".duration")}
    assert [sum(point.count or 0 for point in points) for points in timed.values()] == [4]
