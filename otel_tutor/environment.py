"""The `OTEL_*` variables that OpenTelemetry reads by itself, checked before it does.

It raises errors of many kinds for them, replaces some values by its defaults without a word, and logs others with the
secrets that are in them: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from otel_tutor.errors import ConfigurationError

__all__ = ["DEFAULT_QUEUE", "GRPC", "HTTP", "SIGNALS", "check_environment", "compression_of", "without_credentials"]

DEFAULT_BATCH: Final = 512  # the SDK's
# Spans, and log records, that wait while the Collector is away: two minutes of 60 requests a second with two spans each.
DEFAULT_QUEUE: Final = 16_384
SIGNALS: Final = ("traces", "metrics", "logs")
GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"
_SAMPLERS: Final = ("always_on", "always_off", "traceidratio")
_NAME_OF_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token
_CREDENTIALS: Final = re.compile(r"(?<=//)[^/]*@")

Problem = Callable[[str], str | None]  # what is wrong with a value, and the remedy; None where it can be used
_MOST_DIGITS: Final = 18  # of a whole number: more than any setting needs


def check_environment(environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError, a line with the variable and the remedy, for a value that OpenTelemetry cannot use."""
    for name, problem in _checks(environ):
        value = environ.get(name, "").strip()
        if value and (wrong := problem(value)) is not None:
            shown = "" if name.endswith("HEADERS") else f"={value!r}"
            raise ConfigurationError(f"{name}{shown} {wrong}")
    for processor in ("BSP", "BLRP"):
        names = [f"OTEL_{processor}_MAX_{part}_SIZE" for part in ("EXPORT_BATCH", "QUEUE")]
        batch, queue = (
            int(environ.get(name, "").strip() or default)
            for name, default in zip(names, (DEFAULT_BATCH, DEFAULT_QUEUE), strict=True)
        )
        if batch > queue:
            raise ConfigurationError(f"{names[0]}={batch} is above {names[1]}={queue}: set it to {queue} or less")


def compression_of(environ: Mapping[str, str], signal: str, protocol: str) -> str:
    """How the requests of a signal are compressed: "gzip", "none" or, over HTTP, "deflate". Raises ConfigurationError."""
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
    name = next((name for name in names if environ.get(name, "").strip()), names[1])
    value = environ.get(name, "").strip().lower() or "none"
    known = ("gzip", "none", "deflate") if protocol == HTTP else ("gzip", "none")
    if value not in known:
        raise ConfigurationError(f"{name}={value!r} is not supported with {protocol}: set it to {' or '.join(known)}")
    return value


def without_credentials(url: str) -> str:
    """A URL as it may be shown."""
    return _CREDENTIALS.sub("****@", url)


def _checks(environ: Mapping[str, str]) -> Iterator[tuple[str, Problem]]:
    yield "OTEL_TRACES_SAMPLER", _sampler
    if environ.get("OTEL_TRACES_SAMPLER", "").strip().lower().endswith("ratio"):
        yield "OTEL_TRACES_SAMPLER_ARG", _share
    yield "OTEL_PROPAGATORS", _propagators
    yield "OTEL_METRIC_EXPORT_TIMEOUT", _whole_from(1)
    for processor in ("BSP", "BLRP"):
        yield f"OTEL_{processor}_EXPORT_TIMEOUT", _whole_from(0)
        for setting in ("SCHEDULE_DELAY", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE"):
            yield f"OTEL_{processor}_{setting}", _whole_from(1)
    for counted in ("ATTRIBUTE", "SPAN_ATTRIBUTE", "SPAN_EVENT", "SPAN_LINK", "EVENT_ATTRIBUTE", "LINK_ATTRIBUTE"):
        yield f"OTEL_{counted}_COUNT_LIMIT", _whole_from(0)
    yield "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", _whole_from(0)
    for signal in ("", *(f"{signal.upper()}_" for signal in SIGNALS)):
        yield f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT", _seconds
        yield f"OTEL_EXPORTER_OTLP_{signal}HEADERS", _headers
        for file in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
            yield f"OTEL_EXPORTER_OTLP_{signal}{file}", _file


def _sampler(value: str) -> str | None:
    if value.lower().removeprefix("parentbased_") in _SAMPLERS:
        return None
    return f"is no sampler: set it to one of {', '.join(_SAMPLERS)}, or one of them after parentbased_"


def _share(value: str) -> str | None:
    return (
        None
        if 0 <= (_number(value) or 0) <= 1 and _number(value) is not None
        else "is no share: set it from 0 to 1, e.g. 0.1"
    )


def _seconds(value: str) -> str | None:
    number = _number(value)
    return None if number is not None and number > 0 else "is no number of seconds above 0: e.g. 10"


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _whole_from(least: int) -> Problem:
    def problem(value: str) -> str | None:
        return (
            None
            if value.isdecimal() and len(value) <= _MOST_DIGITS and int(value) >= least
            else f"is no whole number from {least}"
        )

    return problem


def _file(value: str) -> str | None:
    return (
        None
        if os.access(value, os.R_OK) and Path(value).is_file()
        else "is no file that can be read: set it to the path of one"
    )


def _headers(value: str) -> str | None:
    """Without the value: it is a secret."""
    entries = [entry.strip() for entry in value.split(",")]
    for number, entry in enumerate(entries, start=1):
        name, equals, _ = entry.partition("=")
        if entry and not (equals and _NAME_OF_HEADER.fullmatch(name.strip()) and entry.isascii()):
            return (
                f"has an entry that is not name=value (number {number} of {len(entries)}): "
                "write e.g. authorization=Bearer%20TOKEN, and a comma in a value as %2C"
            )
    return None


def _propagators(value: str) -> str | None:
    names = {name.strip() for name in value.split(",")} - {"none", ""}
    installed = {entry.name for entry in entry_points(group="opentelemetry_propagator")}
    if missing := sorted(names - installed):
        return f"has {missing[0]!r}, which is not installed: install its package, or use {', '.join(sorted(installed))}"
    return None
