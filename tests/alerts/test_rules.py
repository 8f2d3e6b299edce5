"""Every alert in Prometheus' own test tool: not below its threshold, not before its time, then yes, and then no more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from otel_tutor.tools.stack.native.build import Binaries
from tests.support.promtool import STEP, check, seconds
from tests.support.rules import ALERTS, GROUPS

QUIET = 12 * 60  # seconds below the threshold; the longest look back for enough events is ten minutes


@dataclass(frozen=True)
class Gauge:
    """Its value while all is well, and while it is not; None is no sample."""

    below: float | None
    above: float | None


@dataclass(frozen=True)
class Counter:
    """Its growth in each step."""

    below: float
    above: float


Signal = Gauge | Counter


@dataclass(frozen=True)
class Case:
    """An alert, what makes it fire, and the labels it then has in addition to its name and those of its rule."""

    alert: str
    signals: Mapping[str, Signal]
    labels: Mapping[str, str] = field(default_factory=lambda: {"job": "tutor"})
    window: int = 120  # seconds that the condition looks back
    stays: bool = False  # also once its data are gone


def histogram(name: str, threshold: str, extra: str = "") -> dict[str, Signal]:
    """Of a hundred measurements in a step, a little more than 95 within the threshold, and then a little less."""
    labels = f'job="tutor",instance="a"{extra}'
    return {
        f'{name}_bucket{{{labels},le="0.1"}}': Counter(50, 50),
        f'{name}_bucket{{{labels},le="{threshold}"}}': Counter(95.5, 94.5),
        f'{name}_bucket{{{labels},le="+Inf"}}': Counter(100, 100),
        f"{name}_count{{{labels}}}": Counter(100, 100),
        # Without a finite bucket above it, no quantile lies beyond the threshold.
        f'{name}_bucket{{{labels},le="60.0"}}': Counter(100, 100),
    }


def counted(name: str, good: str, bad: str, percent: float) -> dict[str, Signal]:
    """Of a thousand events in a step, just fewer failures than the percentage, and then just more."""
    few, many = 10 * percent - 1, 10 * percent + 1
    series = f'{name}{{{{job="tutor",instance="a",status="{{}}"}}}}'.format
    return {series(good): Counter(1000 - few, 1000 - many), series(bad): Counter(few, many)}


ALIVE: dict[str, Signal] = {'event_loop_lag_seconds_count{job="tutor",instance="a"}': Counter(30, 30)}
STUCK: dict[str, Signal] = {'event_loop_lag_seconds_count{job="tutor",instance="a"}': Counter(30, 0)}
UP: dict[str, Signal] = {f'up{{job="{job}",instance="c"}}': Gauge(1, 1) for job in ("app", "collector")}
URL = "https://tutor.example.org/health/ready"
PROBE = f'{{job="probe",service="tutor",instance="{URL}"}}'
EXPORTER = {"exporter": "otlp_grpc/jaeger"}
QUEUE = '{job="collector",exporter="otlp_grpc/jaeger",data_type="traces"}'

CASES = [
    Case("HighLatency", histogram("http_request_duration_seconds", "2.0") | counted("http_requests_total", "200", "500", 1)),
    Case("HighErrorRate", counted("http_requests_total", "200", "500", 5)),
    Case("APIDown", STUCK | UP, window=60, stays=True),
    Case(
        "APIUnreachable",
        {**ALIVE, f"probe_success{PROBE}": Gauge(1, 0)},
        {"job": "tutor", "service": "tutor", "instance": URL},
    ),
    Case(
        "CertificateExpiresSoon",
        {f"probe_ssl_earliest_cert_expiry{PROBE}": Gauge(30 * 86400, 10 * 86400)},  # promtool's time begins at zero
        {"job": "tutor", "service": "tutor", "instance": URL},
    ),
    Case("SlowRAGRetrieval", histogram("rag_retrieval_duration_seconds", "0.5", ',subject="physics"')),
    Case("SlowModelInference", histogram("model_inference_duration_seconds", "10.0", ',model_name="m"')),
    Case(
        "ModelRateLimited",
        {
            f'model_requests_total{{job="tutor",instance="a",model_name="m",status="{status}"}}': counter
            for status, counter in (("200", Counter(960, 940)), ("429", Counter(40, 60)))
        },
        {"job": "tutor", "model_name": "m"},
        window=300,
    ),
    Case("HighRAGFailureRate", counted("rag_queries_total", "success", "error", 5), window=600),
    Case(
        "HighRAGFailureRate", counted("rag_queries_total", "success", "failed", 5), window=600
    ),  # the word of the users' example
    Case("HighRAGFailureRate", counted("rag_queries_total", "success", "timeout", 5), window=600),
    Case(
        "NoStudentActivity",
        {
            **ALIVE,
            'process_uptime_seconds{job="tutor",instance="a"}': Gauge(7200, 7200),
            'student_questions_total{job="tutor",instance="a",subject="s",topic="t"}': Counter(1, 0),
        },
        window=30 * 60,
    ),
    *(
        Case(
            "ModelCostUnknown",
            {f'model_cost_unknown_total{{job="tutor",instance="a",model_name="m",reason="{reason}"}}': Counter(0, 1)},
            {"job": "tutor", "model_name": "m", "reason": reason},
            window=300,
        )
        for reason in ("price", "tokens")
    ),
    Case("LargeSyncQueue", {'sync_queue_size{job="tutor",instance="a"}': Gauge(1000, 1001)}),
    Case("HighSyncFailureRate", counted("sync_operations_total", "success", "error", 10)),
    Case(
        "HealthCheckFailing",
        {'health_check_status{job="tutor",instance="a",check="database"}': Gauge(0.5, 0)},
        {"job": "tutor", "check": "database"},
    ),
    Case(
        "EventLoopStalled",
        {**STUCK, 'process_uptime_seconds{job="tutor",instance="a"}': Counter(15, 15)},
        {"job": "tutor", "instance": "a"},
        window=60,
    ),
    Case(
        "DatabasePoolExhausted",
        {
            'db_client_connections{job="tutor",instance="a",pool="p",state="used"}': Gauge(9, 10),
            'db_client_connections_max{job="tutor",instance="a",pool="p"}': Gauge(10, 10),
        },
        {"job": "tutor", "instance": "a", "pool": "p"},
    ),
    Case("HighCPUUsage", {'system_cpu_usage_percent{job="tutor",instance="a"}': Gauge(85, 85.1)}),
    Case("HighMemoryUsage", {'system_memory_usage_bytes{job="tutor",instance="a"}': Gauge(12e9, 12.01e9)}),
    Case(
        "LowDiskSpace",
        {
            'system_disk_usage_bytes{job="tutor",instance="a",path="/"}': Gauge(800, 801),
            'system_disk_limit_bytes{job="tutor",instance="a",path="/"}': Gauge(1000, 1000),
        },
        {"job": "tutor", "path": "/"},
    ),
    Case("CollectorDown", {**UP, 'up{job="collector",instance="c"}': Gauge(1, 0)}, {}, stays=True),
    Case("ComponentDown", {'up{job="jaeger",instance="j"}': Gauge(1, 0)}, {"job": "jaeger", "instance": "j"}),
    Case(
        "StorageFilling",
        {
            'node_filesystem_avail_bytes{job="node",instance="n",mountpoint="/",fstype="ext4"}': Gauge(155, 145),
            'node_filesystem_size_bytes{job="node",instance="n",mountpoint="/",fstype="ext4"}': Gauge(1000, 1000),
        },
        {"job": "node", "instance": "n", "mountpoint": "/"},
    ),
    Case(
        "TelemetryExportStalled",
        {
            f"otelcol_exporter_queue_size{QUEUE}": Gauge(4096, 4096),
            f"otelcol_exporter_sent_spans{QUEUE}": Counter(1, 0),
        },
        EXPORTER,
        window=60,
    ),
    Case(
        "TelemetryQueueFilling",
        {
            f"otelcol_exporter_queue_size{QUEUE}": Gauge(500, 501),
            f"otelcol_exporter_queue_capacity{QUEUE}": Gauge(1000, 1000),
        },
        {**EXPORTER, "data_type": "traces"},
    ),
    *(
        Case(
            "TelemetryRefused", {f'otelcol_receiver_refused_{item}{{receiver="otlp"}}': Counter(0, 1)}, {"receiver": "otlp"}
        )
        for item in ("spans", "log_records", "metric_points")
    ),
    Case(
        "RuleEvaluationFailing",
        {'prometheus_rule_evaluation_failures_total{rule_group="g"}': Counter(0, 1)},
        {"rule_group": "g"},
        window=300,
    ),
    Case(
        "NotificationsFailing",
        {'alertmanager_notifications_failed_total{integration="webhook"}': Counter(0, 1)},
        {"integration": "webhook"},
        window=300,
    ),
    *(
        Case(
            "TelemetryDropped",
            {lost: Counter(0, 1), 'otel_sdk_processor_span_processed_total{job="tutor"}': Counter(9, 9)},
            window=300,
        )
        for lost in (
            'otel_sdk_processor_span_processed_total{job="tutor",error_type="queue_full"}',
            'otel_sdk_exporter_log_exported_total{job="tutor",error_type="queue_full"}',
            'telemetry_lost_total{job="tutor",signal="metrics"}',
        )
    ),
    Case(
        "CardinalityOverflow",
        {'telemetry_attribute_folded_total{job="tutor",attribute="topic"}': Counter(0, 1)},
        {"job": "tutor", "attribute": "topic"},
        window=300,
    ),
    Case(
        "TelemetryUnconverted",
        {'telemetry_unconverted_total{job="tutor",metric="m"}': Counter(0, 1)},
        {"job": "tutor", "metric": "m"},
        window=300,
    ),
]


def values(signal: Signal, bad: int) -> str:
    """Quiet, bad, quiet again for as long, and then nothing."""
    phases = [(QUIET, signal.below), (bad, signal.above), (bad, signal.below)]
    levels = [level for seconds, level in phases for _ in range(seconds // STEP)]
    if isinstance(signal, Gauge):
        return " ".join("_" if level is None else repr(level) for level in [*levels, None]) + " stale"
    total, points = 0.0, []
    for level in levels:
        total += level or 0.0
        points.append(repr(round(total, 3)))
    return " ".join([*points, "stale"])


def firing(alert: str) -> str:
    return f'ALERTS{{alertname="{alert}",alertstate="firing"}}'


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_keeps_quiet_waits_fires_and_resolves(binaries: Binaries, tmp_path: Path, case: Case) -> None:
    rule = next(rule for rule in ALERTS if rule["alert"] == case.alert)
    wait = seconds(rule.get("for", "0s"))
    bad = wait + case.window + 5 * 60
    group = next(group for group in GROUPS if rule in group["rules"])
    labels = {"alertname": case.alert, "alertstate": "firing", **group.get("labels", {}), **rule["labels"], **case.labels}
    fires = ["ALERTS{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"]
    expected = [
        (QUIET - STEP, f'ALERTS{{alertname="{case.alert}"}}', []),
        (QUIET + max(wait - 2 * STEP, -STEP), firing(case.alert), []),
        (QUIET + wait + case.window + 4 * STEP, firing(case.alert), fires),
        (QUIET + bad + case.window + 60, firing(case.alert), []),
        (QUIET + 2 * bad + 600, firing(case.alert), fires if case.stays else []),
    ]

    assert check(binaries, tmp_path, {name: values(signal, bad) for name, signal in case.signals.items()}, expected) == ""


def test_every_alert_has_a_case() -> None:
    assert {rule["alert"] for rule in ALERTS} == {case.alert for case in CASES} | {
        "Watchdog",
        "ErrorBudgetBurn",
        "CostBudgetBurn",
    }


def test_without_any_data_only_the_collector_is_missed_and_the_watchdog_barks(binaries: Binaries, tmp_path: Path) -> None:
    label = 'ALERTS{{alertname="{}",alertstate="firing",severity="{}"}}'.format
    expected = [(3600, 'ALERTS{alertstate="firing"}', [label("CollectorDown", "critical"), label("Watchdog", "none")])]

    assert check(binaries, tmp_path, {}, expected) == ""


def test_a_service_that_is_gone_is_down_until_it_is_forgotten(binaries: Binaries, tmp_path: Path) -> None:
    alive = "0+30x40 stale"
    series = {'event_loop_lag_seconds_count{job="tutor",instance="a"}': alive, 'up{job="app"}': "1x9999"}
    down = 'ALERTS{alertname="APIDown",alertstate="firing",job="tutor",severity="critical",source="app"}'
    expected = [
        (20 * 60, firing("APIDown"), []),
        (24 * 60, firing("APIDown"), [down]),
        (8 * 3600, firing("APIDown"), [down]),
    ]

    assert check(binaries, tmp_path, series, expected) == ""


RUNS, ENDS = "0+30x200", "0+30x40 1200+0x160"  # in steps of half a minute: to the end, or for twenty minutes
STAYS, GOES = "1x200", "1x40 0x160"


@pytest.mark.parametrize(
    ("app", "collector", "pages"),
    [
        pytest.param(RUNS, STAYS, ["APIUnreachable"], id="a proxy is gone"),
        pytest.param(ENDS, STAYS, ["APIDown"], id="the app is gone"),
        pytest.param(ENDS, GOES, ["APIDown", "APIUnreachable", "CollectorDown"], id="the Collector is gone as well"),
        pytest.param(None, STAYS, [], id="there never was an app"),
    ],
)
def test_what_cannot_be_reached_from_outside_is_one_page(
    binaries: Binaries, tmp_path: Path, app: str | None, collector: str, pages: list[str]
) -> None:
    """Without the Collector no one knows about the app: CollectorDown inhibits APIDown, and the probe pages by itself."""
    series = {f"probe_success{PROBE}": GOES, 'up{job="app"}': collector, 'up{job="collector"}': collector}
    series |= {'event_loop_lag_seconds_count{job="tutor",instance="a"}': app} if app else {}
    paged = 'group by (alertname) (ALERTS{alertstate="firing",severity="critical",alertname!="ErrorBudgetBurn"})'
    alerts = [f'{{alertname="{page}"}}' for page in pages]
    moments = [(minute * 60, paged, alerts) for minute in range(25, 90, 5)]

    assert check(binaries, tmp_path, series, [(19 * 60, paged, []), *moments]) == ""


@pytest.mark.parametrize("word", ["failed", "timeout"])
def test_ten_failures_in_a_row_page_and_leave_the_latency_of_retrieval(
    binaries: Binaries, tmp_path: Path, word: str
) -> None:
    """As the SDK records them: all are in the first sample of their series, and none of their 0 seconds is in a bucket."""
    failures = " ".join(["_"] * (QUIET // STEP) + ["10"] * (15 * 60 // STEP))
    answered = "0+1x100"  # the questions of others
    bucket = 'rag_retrieval_duration_seconds_bucket{{job="tutor",subject="s",le="{}"}}'.format
    series = {
        'rag_queries_total{job="tutor",subject="s",status="success"}': answered,
        f'rag_queries_total{{job="tutor",subject="s",status="{word}"}}': failures,
        **{bucket(bound): text for bound, text in (("0.25", "0x100"), ("0.5", answered), ("+Inf", answered))},
    }
    pending, page = (
        f'ALERTS{{alertname="HighRAGFailureRate",alertstate="{state}",job="tutor",severity="critical",source="app"}}'
        for state in ("pending", "firing")
    )
    as_before = "abs(job:rag_retrieval_duration_seconds:p95_rate2m - 0.4875) < bool 0.001"
    expected = [
        (QUIET - STEP, 'ALERTS{alertname="HighRAGFailureRate"}', []),
        (QUIET + 4 * 60, 'ALERTS{alertname="HighRAGFailureRate"}', [pending]),
        (QUIET + 6 * 60, 'ALERTS{alertname="HighRAGFailureRate"}', [page]),
        (QUIET + 12 * 60, 'ALERTS{alertname="HighRAGFailureRate"}', []),
        *((moment, as_before, ['{job="tutor"}']) for moment in range(QUIET, QUIET + 15 * 60, STEP)),
    ]

    assert check(binaries, tmp_path, series, expected) == ""


# One event in twenty minutes is all there is, and one of them goes wrong.
RARE = " ".join(str(step // 40) for step in range(400))
ONCE = " ".join(str(int(step >= 200)) for step in range(400))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('http_requests_total{job="tutor",status="200"}', 'http_requests_total{job="tutor",status="500"}'),
        ('rag_queries_total{job="tutor",status="success"}', 'rag_queries_total{job="tutor",status="error"}'),
        ('sync_operations_total{job="tutor",status="success"}', 'sync_operations_total{job="tutor",status="error"}'),
        (
            'http_request_duration_seconds_bucket{job="tutor",le="2.0"}',
            'http_request_duration_seconds_bucket{job="tutor",le="+Inf"}',
        ),
    ],
)
def test_one_failure_at_night_is_no_alert(binaries: Binaries, tmp_path: Path, good: str, bad: str) -> None:
    up = {f'up{{job="{job}"}}': "1x400" for job in ("app", "collector")}
    silent: list[tuple[int, str, list[str]]] = [
        (moment, 'ALERTS{alertstate="firing",alertname!="Watchdog"}', []) for moment in range(0, 12000, 120)
    ]

    assert check(binaries, tmp_path, {**up, good: RARE, bad: ONCE}, silent) == ""
