"""Each call of a function is observed, whatever kind of callable it is; to frameworks it remains what it was.

A plain function becomes a function of its own kind (coroutine, generator, async generator). A class stays the same class,
and its construction is observed. A descriptor (staticmethod, property, ...) is one around the observed function. Everything
else that can be called becomes a proxy: its attributes, its type and its signature are those of the original.
"""

import copy
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from wrapt import AutoObjectProxy

from otel_tutor.recording.following import follow
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.stream import AsyncStream, Observation, Stream, relaying

__all__ = ["instrument", "name_of"]

F = TypeVar("F", bound=Callable[..., Any])
Begin = Callable[[], Observation]

_DEFINED_IN_PYTHON: Final = 1 << 9  # of a type's flags: it can be changed
# What has no name, and where it has the function that it calls.
_CALLED: Final[dict[type, str]] = {
    functools.partial: "func",
    functools.partialmethod: "func",
    functools.cached_property: "func",
    functools.singledispatchmethod: "func",
    property: "fget",
}


def instrument(function: F, begin: Begin) -> F:
    """`function` with each call observed for as long as it runs. What cannot be called is returned as it is."""
    observed = attempt(_instrument, function, begin)
    return function if observed is None else observed


def name_of(function: object) -> object:
    """The qualified name of a function, of what a partial or a descriptor calls, or else of its type."""
    while type(function) in _CALLED:
        function = getattr(function, _CALLED[type(function)])
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _instrument(function: Any, begin: Begin) -> Any:
    kind: Any = type(function)
    if (descriptor := _descriptor(function, kind, begin)) is not None:
        return descriptor
    if kind is types.FunctionType:
        return functools.update_wrapper(_wrapper(function, begin), function)
    if issubclass(kind, type) and function.__flags__ & _DEFINED_IN_PYTHON:
        _observe_construction(function, begin)
        return function
    proxy = _Callable if callable(function) else _Descriptor if hasattr(kind, "__get__") else None
    return function if proxy is None else proxy.of(function, begin)


def _descriptor(function: Any, kind: Any, begin: Begin) -> Any:
    """One of the same kind around the observed function; None for what is no descriptor around another function."""
    if issubclass(kind, (staticmethod, classmethod)):  # the decorator was written above @staticmethod
        return kind(instrument(function.__func__, begin))
    if issubclass(kind, property):
        parts = (function.fget, function.fset, function.fdel)
        return kind(*(part if part is None else instrument(part, begin) for part in parts), function.__doc__)
    if issubclass(kind, functools.cached_property):
        return kind(instrument(function.func, begin))
    if issubclass(kind, functools.partialmethod):
        return kind(instrument(function.func, begin), *function.args, **function.keywords)
    if kind is types.MethodType:
        return types.MethodType(instrument(function.__func__, begin), function.__self__)
    return None


def _observe_construction(cls: Any, begin: Begin) -> None:
    """Observe `__init__`, or where there is none `__new__`; of a class that has neither in Python, nothing is observed."""
    for name in ("__init__", "__new__"):
        method = vars(cls).get(name)
        function = getattr(method, "__func__", method)  # __new__ is a static method
        if isinstance(function, types.FunctionType):
            setattr(cls, name, instrument(method, begin))
            return
    inherited = cls.__init__
    if isinstance(inherited, types.FunctionType):

        @functools.wraps(inherited)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            super(cls, self).__init__(*args, **kwargs)  # that of a subclass may be another one than `inherited`

        cls.__init__ = instrument(init, begin)


class _Descriptor(AutoObjectProxy):  # type: ignore[type-arg]  # wrapt 2.0 has no types, and takes none
    """An object in a class that gives what can be called: `functools.singledispatchmethod`, or another library's."""

    _self_begin: Begin
    _self_call: Callable[..., Any]

    @classmethod
    def of(cls, original: Any, begin: Begin) -> Self:
        """The proxy of `original`."""
        proxy = cls(original)
        proxy._self_begin, proxy._self_call = begin, _wrapper(original, begin)
        functools.update_wrapper(proxy._self_call, getattr(original, "__call__", original))  # noqa: B004 - for its signature
        return proxy

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        bind = getattr(type(self.__wrapped__), "__get__", None)
        bound = self.__wrapped__ if bind is None else bind(self.__wrapped__, instance, owner)
        if bound is self.__wrapped__:
            return self
        if type(bound) is types.MethodType and bound.__func__ is self.__wrapped__:
            return types.MethodType(self, bound.__self__)
        return instrument(bound, self._self_begin)

    def __copy__(self) -> Self:
        return self.of(copy.copy(self.__wrapped__), self._self_begin)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.of(copy.deepcopy(self.__wrapped__, memo), self._self_begin)

    def __reduce_ex__(self, _: object) -> Any:
        return _original, (self.__wrapped__,)


class _Callable(_Descriptor):
    """An object that can be called: a partial, a builtin, an object with `__call__`, another library's wrapper."""

    @property
    def __call__(self) -> Callable[..., Any]:
        """A function of the same kind as the original's `__call__`: some frameworks look there for a coroutine function."""
        return self._self_call


def _original(called: Any) -> Any:
    """What is left of a proxy in another process."""
    return called


def _wrapper(function: Any, begin: Begin) -> Callable[..., Any]:
    """What calls `function` and observes it: a function of the same kind."""
    if _is(inspect.isasyncgenfunction, function):
        return relaying(lambda *args, **kwargs: AsyncStream(function(*args, **kwargs), begin))
    if _is(inspect.isgeneratorfunction, function):

        def generate(*args: Any, **kwargs: Any) -> Any:
            return (yield from Stream(function(*args, **kwargs), begin))

        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        return types.coroutine(generate) if flags & inspect.CO_ITERABLE_COROUTINE else generate
    if _is(inspect.iscoroutinefunction, function):

        async def await_(*args: Any, **kwargs: Any) -> Any:
            run = begin()
            try:
                with run.active():
                    result = await function(*args, **kwargs)
            except BaseException as error:
                run.end(error)
                raise
            run.end()
            return result

        return await_

    def call(*args: Any, **kwargs: Any) -> Any:
        run = begin()
        try:
            with run.active():
                result = function(*args, **kwargs)
        except BaseException as error:
            run.end(error)
            raise
        return follow(result, run)

    return call


def _is(check: Callable[[Any], bool], function: Any) -> bool:
    """Of an object, whether its `__call__` is such a function."""
    return check(function) or check(getattr(type(function), "__call__", None))  # noqa: B004 - the method is wanted
