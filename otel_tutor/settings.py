"""What can be set, read once from `configure()` and the standard `OTEL_*` variables, and checked before anything starts."""

import importlib.util
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from platformdirs import user_data_path

from otel_tutor.catalogue import ATTRIBUTES
from otel_tutor.environment import GRPC, HTTP, SIGNALS, check_environment, compression_of, without_credentials
from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.prices import Prices

__all__ = ["Settings", "data_folder", "shipped_config_dir"]

_GRPC_PORT: Final = 4317
_HTTP_PORT: Final = 4318
DEFAULT_ENDPOINT: Final = f"http://localhost:{_GRPC_PORT}"
DEFAULT_HTTP_ENDPOINT: Final = f"http://localhost:{_HTTP_PORT}"
DEFAULT_SERVICE_NAME: Final = "tutor"
# Prometheus scrapes every 5 s in this stack; exporting less often than twice that would leave rate() windows empty.
DEFAULT_METRIC_INTERVAL_MS: Final = 5_000
_SHORTEST_INTERVAL_MS: Final = 50  # an export of a hundred series takes 3 ms of a processor
# Room for a long prompt with its passages, some 10,000 words. A request of gRPC's usual 4 MiB holds at least sixteen of them
# (UTF-8 has up to four bytes a character), and Loki and VictoriaLogs take lines up to 256 KiB.
DEFAULT_VALUE_LIMIT: Final = 65_536  # characters

_LIMITS: Final = "OTEL_TUTOR_CARDINALITY_LIMITS"
_PRICES: Final = "OTEL_TUTOR_PRICES"
_MOST_DIGITS: Final = 18  # of a number: more than any limit needs


def shipped_config_dir() -> Path:
    """The folder with `collector/` and `alerts/`: the checkout, else what was installed with the package."""
    package = Path(__file__).parent
    return package.parent if (package.parent / "collector" / "config.yaml").is_file() else package / "share"


def data_folder() -> Path:
    """What is kept on this machine: the backends' data, logs, queues, leases. `OTEL_TUTOR_DATA` moves it.

    Raises ConfigurationError where neither that nor a home directory says where.
    """
    if configured := os.environ.get("OTEL_TUTOR_DATA"):
        return Path(configured).absolute()
    try:
        folder = user_data_path("otel-tutor")
    except RuntimeError:  # of platformdirs; before 4.4 it returns a path that begins with "~"
        folder = Path()
    if not folder.is_absolute():
        raise ConfigurationError("there is no home directory: set OTEL_TUTOR_DATA to a folder that can be written to")
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the pipeline needs to know beyond what the OpenTelemetry SDK reads from `OTEL_*` by itself."""

    service_name: str
    endpoint: str
    http_endpoint: str  # the same, but for the default port: what is sent over HTTP goes here
    metric_interval_ms: int
    disabled: bool
    exporters: Mapping[str, frozenset[str]]  # of "traces", "metrics" and "logs": which of "otlp" and "console" get it
    protocols: Mapping[str, str]  # of each signal: GRPC or HTTP
    compressions: Mapping[str, str]  # of each signal: "gzip", "none" or, over HTTP, "deflate"
    own_endpoints: frozenset[str]  # the signals whose exporter reads its endpoint from its signal's own variable
    instance_id: str | None  # the service.instance.id that was asked for
    cardinality_limits: Mapping[str, int]  # by attribute; the catalogue has those that are not set
    value_limit: int  # characters of an attribute of an event, a link or a metric, and of a description
    span_value_limit: int  # characters of a span's attribute
    log_value_limit: int  # characters of a log record's body or attribute
    prices: Prices | None  # of models

    @classmethod
    def read(
        cls,
        *,
        service_name: str | None = None,
        endpoint: str | None = None,
        cardinality_limits: Mapping[str, int] | None = None,
        prices: str | Path | Mapping[str, Any] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> "Settings":
        """Settings from arguments first, then the environment, then defaults.

        Raises ConfigurationError for a value that cannot be used.
        """
        for name, value in (("service_name", service_name), ("endpoint", endpoint)):
            with refusing(name):
                if value is not None and not (isinstance(value, str) and value.strip()):
                    raise ConfigurationError(f"{name}={value!r} is not usable: pass a non-empty string, or leave it out")
        check_environment(environ)
        exporters = {signal: _exporters(environ, signal) for signal in SIGNALS}
        protocols = {signal: _protocol(environ, signal, exporters[signal]) for signal in SIGNALS}
        compressions = {signal: compression_of(environ, signal, protocols[signal]) for signal in SIGNALS}
        own_endpoints = frozenset(signal for signal in SIGNALS if environ.get(_own_endpoint(signal)))
        for signal in sorted(own_endpoints):
            name = _own_endpoint(signal)
            _check_endpoint(environ[name], name, {protocols[signal]})
        shared = {protocols[signal] for signal in protocols.keys() - own_endpoints if "otlp" in exporters[signal]}
        if collector := endpoint or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            source = "endpoint" if endpoint else "OTEL_EXPORTER_OTLP_ENDPOINT"
            with refusing(source):
                _check_endpoint(collector, source, shared)
        resource = _resource_attributes(environ)
        value_limit = _number(environ, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", DEFAULT_VALUE_LIMIT, "characters", 0)
        return cls(
            service_name=service_name
            or environ.get("OTEL_SERVICE_NAME")
            or resource.get("service.name")
            or DEFAULT_SERVICE_NAME,
            endpoint=collector or (DEFAULT_HTTP_ENDPOINT if shared == {HTTP} else DEFAULT_ENDPOINT),
            http_endpoint=collector or DEFAULT_HTTP_ENDPOINT,
            metric_interval_ms=_number(
                environ, "OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_METRIC_INTERVAL_MS, "milliseconds", _SHORTEST_INTERVAL_MS
            ),
            disabled=environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
            exporters=exporters,
            protocols=protocols,
            compressions=compressions,
            own_endpoints=own_endpoints,
            instance_id=resource.get("service.instance.id") or None,
            cardinality_limits=_cardinality_limits(cardinality_limits, environ.get(_LIMITS) or ""),
            value_limit=value_limit,
            span_value_limit=_number(environ, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_limit, "characters", 0),
            log_value_limit=_number(environ, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_limit, "characters", 0),
            prices=_prices(prices, environ.get(_PRICES, "").strip()),
        )


def _prices(argument: str | Path | Mapping[str, Any] | None, variable: str) -> Prices | None:
    if argument is not None:
        return Prices.read(argument, "prices")
    return Prices.read(variable, _PRICES) if variable else None


def _resource_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """Those of the variable, read as the SDK reads it, which looks at the process's environment only."""
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs}


@refusing("cardinality_limits")
def _cardinality_limits(argument: object, variable: str) -> dict[str, int]:
    """Both, checked; of an attribute that is in both, the argument's limit."""
    limits = {}
    for pair in filter(None, map(str.strip, variable.split(","))):
        name, _, limit = map(str.strip, pair.partition("="))
        limits[name] = _limit(f"{_LIMITS}={variable!r}", name, int(limit) if limit.isdecimal() else limit)
    if argument is not None:
        if not isinstance(argument, Mapping):
            raise ConfigurationError(f'cardinality_limits={argument!r} is not a mapping: pass e.g. {{"tutor.topic": 1000}}')
        limits |= {name: _limit(f"cardinality_limits={argument!r}", name, limit) for name, limit in argument.items()}
    return limits


def _limit(source: str, name: object, limit: object) -> int:
    known = [attribute.key for attribute in ATTRIBUTES]
    if name not in known:
        import difflib  # rarely needed

        nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.0)
        raise ConfigurationError(f"{source}: there is no attribute {name!r}: use e.g. {', '.join(nearest)}")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ConfigurationError(f"{source}: {limit!r} is no limit for {name}: use a whole number from 1, e.g. 1000")
    return limit


def _own_endpoint(signal: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"


def _check_endpoint(value: str, name: str, protocols: Set[str]) -> None:
    """Raise ConfigurationError unless a URL can be the receiver of these protocols."""
    shown = without_credentials(value)
    if shown != value:
        raise ConfigurationError(
            f"{name}={shown!r} has a user name or a password in it: leave it out, "
            "and set e.g. OTEL_EXPORTER_OTLP_HEADERS=authorization=Basic%20..."
        )
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError as error:
        raise ConfigurationError(f"{name}={value!r} is not a URL ({error}): use e.g. {DEFAULT_ENDPOINT}") from None
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ConfigurationError(
            f"{name}={value!r} has no usable scheme and host: "
            f"use http://host:{_GRPC_PORT}, or https://host:{_GRPC_PORT} for TLS"
        )
    if port == _HTTP_PORT and GRPC in protocols:
        raise ConfigurationError(
            f"{name}={value!r} is the port of OTLP over HTTP: "
            f"use port {_GRPC_PORT}, or set OTEL_EXPORTER_OTLP_PROTOCOL={HTTP}"
        )
    if port == _GRPC_PORT and HTTP in protocols:
        raise ConfigurationError(
            f"{name}={value!r} is the port of OTLP over gRPC: "
            f"use port {_HTTP_PORT}, or set OTEL_EXPORTER_OTLP_PROTOCOL={GRPC}"
        )


def _protocol(environ: Mapping[str, str], signal: str, exporters: Set[str]) -> str:
    """How a signal is sent. Raises ConfigurationError where it is sent and cannot be in this way."""
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    name = next((name for name in names if environ.get(name, "").strip()), names[1])
    protocol = environ.get(name, "").strip() or GRPC
    if protocol not in {GRPC, HTTP}:
        raise ConfigurationError(f"{name}={protocol!r} is not supported: set it to {GRPC} or {HTTP}, or unset it")
    if protocol == HTTP and "otlp" in exporters and not _is_installed("opentelemetry.exporter.otlp.proto.http"):
        raise ConfigurationError(f"{name}={protocol!r} needs an extra package: pip install 'otel-tutor[http]'")
    return protocol


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


def _number(environ: Mapping[str, str], name: str, default: int, unit: str, least: int) -> int:
    value = environ.get(name, "").strip() or str(default)
    if not value.isdecimal() or len(value) > _MOST_DIGITS or int(value) < least:
        raise ConfigurationError(f"{name}={value!r} is not a number of {unit} from {least}: e.g. {default}")
    return int(value)


def _exporters(environ: Mapping[str, str], signal: str) -> frozenset[str]:
    """Which exporters get a signal: the names of a list, as the specification has it."""
    name = f"OTEL_{signal.upper()}_EXPORTER"
    value = environ.get(name, "").strip() or "otlp"
    names = {part.strip().lower() for part in value.split(",")} - {""}
    if unknown := names - {"otlp", "console", "none"}:
        raise ConfigurationError(
            f"{name}={value!r}: {min(unknown)!r} is not supported: "
            "use otlp (the Collector fans out from there), console or none"
        )
    return frozenset(names - {"none"})
