"""Providers that another library has set before: they get what is recorded, and pass it to our exporters as well."""

import functools
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME
from opentelemetry.sdk.trace import TracerProvider

from otel_tutor.settings import Settings

__all__ = ["Neighbour", "Neighbours"]

_log: Final = logging.getLogger("otel_tutor")

_DEFAULTS: Final = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")  # where the API's own are
_COMMAND: Final = "opentelemetry.instrumentation.auto_instrumentation"
_BY_COMMAND: Final = (
    "opentelemetry-instrument exports to the endpoint of the environment as well, where each record arrives twice: "
    "start it with --configurator none"
)
_WRAPPERS: Final = 3  # around a provider of the SDK; logfire has one


@dataclass(slots=True)
class Neighbour:
    """A provider that was set before, and `add`, which gives it a processor or reader; None where it takes none."""

    owner: str
    provider: Any
    add: Callable[[Any], object] | None
    is_joined: bool = False

    def join(self, parts: Iterable[Any]) -> Any:
        """Have it pass what it records to these processors or readers as well. Returns it, or None where that fails."""
        if self.add is None:
            return None
        try:
            for part in parts:
                self.add(part)
        except Exception as error:
            _log.warning("%s refuses to be joined: %s: %s", self.owner, type(error).__name__, error)
            return None
        self.is_joined = True
        return self.provider

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What its records say of their process; empty where it does not tell."""
        return getattr(getattr(self.provider, "resource", None), "attributes", None) or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The providers of this process that are not ours, by signal."""

    tracer: Neighbour | None = None
    meter: Neighbour | None = None
    logger: Neighbour | None = None

    @classmethod
    def find(cls) -> "Neighbours":
        """Those that are set now."""
        return cls(
            tracer=_neighbour(trace.get_tracer_provider(), "add_span_processor", TracerProvider),
            meter=_neighbour(metrics.get_meter_provider(), "add_metric_reader", MeterProvider),
            logger=_neighbour(_logs.get_logger_provider(), "add_log_record_processor", LoggerProvider),
        )

    @property
    def service_name(self) -> str | None:
        """The service that spans are of, where it is not for us to say."""
        return (self.tracer.attributes.get(SERVICE_NAME) if self.tracer else None) or None

    def describe(self, settings: Settings) -> tuple[str, bool]:
        """One line on the providers that were joined and those that were not, and whether there is anything to fix."""
        by_signal = {"traces": self.tracer, "metrics": self.meter, "logs": self.logger}
        present = {f"{signal} ({other.owner})": other for signal, other in by_signal.items() if other is not None}
        if not present:
            return "", False
        joined = [name for name, other in present.items() if other.is_joined]
        apart = [name for name, other in present.items() if not other.is_joined]
        lacking = self._lacking(settings)
        by_command = (
            bool(joined) and _COMMAND in sys.modules and any("otlp" in names for names in settings.exporters.values())
        )
        parts = [
            f"providers were set before configure(): joined {', '.join(joined) or 'none'}",
            *([f"{', '.join(apart)} cannot be joined: call otel_tutor.configure() first"] if apart else []),
            *([f"its resource stays: {lacking}"] if lacking else []),
            *([_BY_COMMAND] if by_command else []),
        ]
        return "; ".join(parts), bool(apart or lacking or by_command)

    def _lacking(self, settings: Settings) -> str:
        """What of the resource makes series hard to tell apart, and how to change it."""
        attributes = self.tracer.attributes if self.tracer else {}
        if attributes and attributes.get(SERVICE_NAME) != settings.service_name:
            name = attributes.get(SERVICE_NAME)
            return f"the service is {name!r}, not {settings.service_name!r}: set OTEL_SERVICE_NAME"
        if attributes and SERVICE_INSTANCE_ID not in attributes:
            return "it has no service.instance.id: where several processes serve, give each one in OTEL_RESOURCE_ATTRIBUTES"
        return ""


def _neighbour(provider: Any, method: str, of_sdk: type[Any]) -> Neighbour | None:
    kind = type(provider)
    if kind.__module__.startswith(_DEFAULTS):
        return None
    owner = f"{kind.__module__}.{kind.__qualname__}"
    for _ in range(_WRAPPERS):
        if isinstance(provider, of_sdk):  # the method of a subclass may replace what is there, as Phoenix's does
            return Neighbour(owner, provider, functools.partial(getattr(of_sdk, method), provider))
        if callable(add := getattr(provider, method, None)):
            return Neighbour(owner, provider, add)
        provider = getattr(provider, "provider", None)
    return Neighbour(owner, None, None)
