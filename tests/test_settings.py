"""What can be set, by argument or environment, and in which words an invalid value is refused."""

from typing import Any

import pytest
from opentelemetry.sdk.resources import OTELResourceDetector

from otel_tutor.errors import ConfigurationError
from otel_tutor.settings import DEFAULT_ENDPOINT, DEFAULT_SERVICE_NAME, Settings

HTTP = "OTEL_EXPORTER_OTLP_PROTOCOL"
LIMITS = "OTEL_TUTOR_CARDINALITY_LIMITS"


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (
            {"endpoint": "collector:4317"},
            {},
            "endpoint='collector:4317' has no usable scheme and host: use http://host:4317",
        ),
        (
            {"endpoint": "http://collector:4318"},
            {},
            "is the port of OTLP over HTTP: use port 4317, or set OTEL_EXPORTER_OTLP_",
        ),
        (
            {},
            {HTTP: "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"},
            "OTEL_EXPORTER_OTLP_ENDPOINT='http://collector:4317' is the port of OTLP over gRPC: use port 4318, or set",
        ),
        ({"endpoint": "http://collector:nan"}, {}, "endpoint='http://collector:nan' is not a URL"),
        ({"endpoint": 4317}, {}, "endpoint=4317 is not usable: pass a non-empty string"),
        ({"service_name": ""}, {}, "service_name='' is not usable"),
        ({"service_name": "  "}, {}, "service_name='  ' is not usable"),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost"}, "OTEL_EXPORTER_OTLP_ENDPOINT='localhost' has no usable scheme"),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x:1"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT='x:1' has no usable"),
        (
            {},
            {HTTP: "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL='http/json' is not supported: set it to grpc or http/protobuf",
        ),
        ({}, {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL='http/json'"),
        ({}, {"OTEL_METRICS_EXPORTER": "prometheus"}, "OTEL_METRICS_EXPORTER='prometheus': 'prometheus' is not supported"),
        (
            {},
            {"OTEL_TRACES_EXPORTER": "otlp,zipkin"},
            "'zipkin' is not supported: use otlp (the Collector fans out from there), ",
        ),
        (
            {"endpoint": "http://ada:secret@c:1"},
            {},
            "endpoint='http://****@c:1' has a user name or a password in it: leave it",
        ),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://ada:s@@c"}, "OTEL_EXPORTER_OTLP_ENDPOINT='ftp://****@c' has a user"),
        ({}, {"OTEL_EXPORTER_OTLP_HEADERS": "a=b,secret"}, "OTEL_EXPORTER_OTLP_HEADERS has an entry that is not name=value"),
        (
            {},
            {"OTEL_EXPORTER_OTLP_LOGS_HEADERS": "a: b=c"},
            "OTLP_LOGS_HEADERS has an entry that is not name=value (number 1",
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"},
            "OTEL_EXPORTER_OTLP_COMPRESSION='zstd' is not supported with grpc: set",
        ),
        ({}, {"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, "OTEL_EXPORTER_OTLP_TIMEOUT='10s' is no number of seconds above 0"),
        ({}, {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/file"}, "OTLP_CERTIFICATE='/no/file' is no file that can be read"),
        (
            {},
            {"OTEL_TRACES_SAMPLER": "sometimes"},
            "OTEL_TRACES_SAMPLER='sometimes' is no sampler: set it to one of always_on",
        ),
        (
            {},
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            "OTEL_TRACES_SAMPLER_ARG='2' is no share: set it from 0 to 1",
        ),
        ({}, {"OTEL_PROPAGATORS": "tracecontext,b4"}, "OTEL_PROPAGATORS='tracecontext,b4' has 'b4', which is not installed"),
        ({}, {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "OTEL_BSP_MAX_QUEUE_SIZE='-1' is no whole number from 1"),
        (
            {},
            {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20000"},
            "SIZE=20000 is above OTEL_BSP_MAX_QUEUE_SIZE=16384",
        ),
        ({}, {"OTEL_SPAN_EVENT_COUNT_LIMIT": "some"}, "OTEL_SPAN_EVENT_COUNT_LIMIT='some' is no whole number from 0"),
        (
            {},
            {"OTEL_METRIC_EXPORT_INTERVAL": "5"},
            "OTEL_METRIC_EXPORT_INTERVAL='5' is not a number of milliseconds from 50",
        ),
        ({}, {"OTEL_METRIC_EXPORT_INTERVAL": "5s"}, "OTEL_METRIC_EXPORT_INTERVAL='5s' is not a number of milliseconds"),
        ({}, {"OTEL_METRIC_EXPORT_INTERVAL": "0"}, "OTEL_METRIC_EXPORT_INTERVAL='0' is not a number of milliseconds"),
        ({"cardinality_limits": 5}, {}, 'cardinality_limits=5 is not a mapping: pass e.g. {"tutor.topic": 1000}'),
        (
            {"cardinality_limits": {"tutor.topics": 9}},
            {},
            "there is no attribute 'tutor.topics': use e.g. tutor.topic, ",
        ),
        ({"cardinality_limits": {7: 9}}, {}, "cardinality_limits={7: 9}: there is no attribute 7: use e.g. "),
        ({"cardinality_limits": {"tutor.topic": 0}}, {}, "0 is no limit for tutor.topic: use a whole number from 1"),
        ({"cardinality_limits": {"tutor.topic": True}}, {}, "True is no limit for tutor.topic"),
        ({"cardinality_limits": {"tutor.topic": 1.5}}, {}, "1.5 is no limit for tutor.topic"),
        ({}, {LIMITS: "tutor.topic"}, "OTEL_TUTOR_CARDINALITY_LIMITS='tutor.topic': '' is no limit for tutor.topic"),
        ({}, {LIMITS: "tutor.topic=many"}, "'many' is no limit for tutor.topic: use a whole number from 1, e.g. 1000"),
        (
            {},
            {LIMITS: "route=5"},
            "OTEL_TUTOR_CARDINALITY_LIMITS='route=5': there is no attribute 'route': use e.g. ",
        ),
    ],
)
def test_an_invalid_value_is_refused_in_one_line(arguments: dict[str, Any], environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.read(**arguments, environ=environ)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_argument_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {
        "OTEL_SERVICE_NAME": "essay-tutor",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4317",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=other",
    }
    argued = Settings.read(service_name="argued", endpoint="http://argued:4317", environ=environ)
    set_outside, default = Settings.read(environ=environ), Settings.read(environ={})

    assert (argued.service_name, argued.endpoint) == ("argued", "http://argued:4317")
    assert (set_outside.service_name, set_outside.endpoint) == ("essay-tutor", "https://collector:4317")
    assert (default.service_name, default.endpoint) == (DEFAULT_SERVICE_NAME, DEFAULT_ENDPOINT)


def test_the_service_and_its_instance_may_be_among_the_resource_attributes() -> None:
    attributes = " service.name = essay-tutor ,service.instance.id=7,odd"
    settings = Settings.read(environ={"OTEL_RESOURCE_ATTRIBUTES": attributes})

    assert (settings.service_name, settings.instance_id) == ("essay-tutor", "7")
    assert Settings.read(environ={}).instance_id is None


def test_a_signal_may_be_switched_off_or_have_an_endpoint_of_its_own() -> None:
    environ = {"OTEL_LOGS_EXPORTER": "None ", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:4317"}
    settings = Settings.read(environ=environ)

    assert [signal for signal, exporters in settings.exporters.items() if exporters] == ["traces", "metrics"]
    assert settings.own_endpoints == {"traces"}


def test_a_list_of_exporters_is_taken_apart() -> None:
    settings = Settings.read(environ={"OTEL_TRACES_EXPORTER": "console, otlp", "OTEL_METRICS_EXPORTER": "console,none"})

    assert settings.exporters == {"traces": {"console", "otlp"}, "metrics": {"console"}, "logs": {"otlp"}}


def test_a_protocol_decides_the_default_port_and_a_signal_may_have_its_own() -> None:
    over_http = Settings.read(environ={HTTP: "http/protobuf"})
    mixed = Settings.read(environ={HTTP: "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"})

    assert (over_http.endpoint, set(over_http.protocols.values())) == ("http://localhost:4318", {"http/protobuf"})
    assert mixed.protocols == {"traces": "grpc", "metrics": "http/protobuf", "logs": "http/protobuf"}


def test_limits_of_both_places_hold_and_the_argument_wins() -> None:
    environ = {LIMITS: " tutor.topic=1000, http.route = 500 ,"}
    argued = Settings.read(cardinality_limits={"tutor.topic": 7}, environ=environ)

    assert argued.cardinality_limits == {"tutor.topic": 7, "http.route": 500}
    assert Settings.read(environ=environ).cardinality_limits == {"tutor.topic": 1000, "http.route": 500}
    assert Settings.read(environ={}).cardinality_limits == {}


@pytest.mark.parametrize(("value", "disabled"), [("true", True), (" TRUE ", True), ("false", False), ("1", False)])
def test_the_sdk_is_disabled_by_the_word_true(value: str, disabled: bool) -> None:
    assert Settings.read(environ={"OTEL_SDK_DISABLED": value}).disabled is disabled


@pytest.mark.parametrize(
    "variable",
    ["service.name=my%20tutor", " service.name = a , b=c", "service.name=a=b,,broken", "service.name=a,service.name=b"],
)
def test_resource_attributes_are_read_as_the_sdk_reads_them(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", variable)

    assert Settings.read().service_name == OTELResourceDetector().detect().attributes["service.name"]
