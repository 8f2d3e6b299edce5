"""Each recording call, made once, arrives as the value it was given."""

import os
import subprocess
import sys

import psutil
import pytest

from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running

PROGRAM = """
import otel_tutor
from opentelemetry.metrics import get_meter
from otel_tutor.monitoring import metrics_collector as m
from otel_tutor.rag import observe_question
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

async def hello(request):
    return PlainTextResponse("hello")

app = Starlette(routes=[Route("/hello", hello)])
prices = {"currency": "EUR", "models": {"llama": {"input": 1_000_000, "output": 2_000_000}}}
otel_tutor.configure(app, service_name="valued", prices=prices)
TestClient(app).get("/hello")
m.track_rag_query("physics", 0.25, 3, 0.5)
m.track_rag_query("physics", 0.5, 0, status="error")
m.track_model_inference("llama", "q4", 1.5, 10, 20, "success")
m.track_model_inference("unpriced", "q4", 1.5, None, None, "success")
meter = get_meter("of.another.library")
for modality, tokens in (("text", 4), ("image", 5)):
    of = {"gen_ai.request.model": "elsewhere", "gen_ai.token.modality": modality}
    meter.create_counter("gen_ai.client.inference.usage.input_tokens").add(tokens, of)
meter.create_counter("gen_ai.client.inference.usage.cache_read.input_tokens").add(7, {"gen_ai.request.model": "elsewhere"})
with observe_question("Why?", "history", "rome") as question:
    with question.retrieval() as retrieval:
        retrieval.score = 0.25
    with question.generation("small") as generation:
        generation.finish_reason = "max_tokens"
    question.cited = 2
    question.guardrail("off_topic", "blocked")
    question.evaluate("relevance", 0.5, "pass")
m.set_model_memory("llama", 4096)
m.track_sync(2.0, "success", {"answer": 5})
m.set_sync_queue_size(6)
m.track_vector_search("passages", 0.125)
m.set_vector_documents("passages", 427)
m.track_student_activity("physics", "optics")
m.set_active_sessions(4)
m.track_practice_answer("physics", True)
otel_tutor.shutdown()
"""

VALUES = {
    'http_requests_total{method="GET",endpoint="/hello",status="200"}': 1,
    'http_request_duration_seconds_count{method="GET",endpoint="/hello"}': 1,
    'http_requests_in_progress{method="GET",endpoint="/hello"}': 0,
    'rag_queries_total{subject="physics",status="success"}': 1,
    'rag_queries_total{subject="physics",status="error"}': 1,
    'rag_retrieval_duration_seconds_sum{subject="physics"}': 0.25,  # of the answered question: a failure is no latency
    'rag_context_documents_sum{subject="physics"}': 3,
    'rag_context_documents_bucket{subject="physics",le="2.0"}': 1,
    'rag_generation_duration_seconds_sum{subject="physics"}': 0.5,
    'rag_generation_duration_seconds_count{subject="physics"}': 1,
    'model_inference_duration_seconds_sum{model_name="llama",quantization_type="q4"}': 1.5,
    'model_inference_total{model_name="llama",quantization_type="q4",status="success"}': 1,
    'model_token_count_sum{model_name="llama",type="input"}': 10,
    'model_token_count_sum{model_name="llama",type="output"}': 20,
    'model_tokens_total{model_name="llama",type="input"}': 10,
    'model_tokens_total{model_name="llama",type="output"}': 20,
    'model_cost_total{model_name="llama",subject="none",endpoint="none",currency="EUR"}': 50,
    'model_cost_unknown_total{model_name="unpriced",reason="price"}': 1,
    'model_tokens_total{model_name="elsewhere",type="cache_read"}': 7,  # of the conventions' counters
    'model_tokens_total{model_name="elsewhere",type="input"}': 9,
    'rag_queries_without_documents_total{subject="history"}': 1,
    'rag_retrieval_score_bucket{subject="history",le="0.3"}': 1,
    'rag_retrieval_score_bucket{subject="history",le="0.2"}': 0,
    'rag_context_cited_sum{subject="history"}': 2,
    'model_finish_reasons_total{model_name="small",finish_reason="length"}': 1,
    'guardrail_checks_total{guardrail="off_topic",outcome="blocked",subject="history"}': 1,
    'gen_ai_evaluations_total{evaluation="relevance",label="pass",subject="history"}': 1,
    'gen_ai_evaluation_score_sum{evaluation="relevance",subject="history"}': 0.5,
    'model_memory_usage_bytes{model_name="llama"}': 4096,
    "sync_queue_size": 6,
    'sync_operations_total{status="success"}': 1,
    "sync_duration_seconds_sum": 2,
    'sync_records_processed_total{record_type="answer"}': 5,
    'vector_store_documents_total{collection="passages"}': 427,
    'vector_store_search_duration_seconds_sum{collection="passages"}': 0.125,
    'vector_store_search_total{collection="passages",status="success"}': 1,
    'student_questions_total{subject="physics",topic="optics"}': 1,
    "student_sessions_active": 4,
    'student_practice_answers_total{subject="physics",correct="true"}': 1,
}


@pytest.fixture(scope="module")
def sent(running: Running) -> None:
    """An app has made every call once and ended."""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp}
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60, env=environment)
    assert wait_for(lambda: running.backends.query('sync_queue_size{job="valued"}'), bool, seconds=30)


@pytest.mark.parametrize("series", VALUES)
@pytest.mark.usefixtures("sent")
def test_a_series_has_the_value_that_was_recorded(running: Running, series: str) -> None:
    (sample,) = running.backends.query(f'{series} and on (job) target_info{{job="valued"}}')

    assert sample.value == VALUES[series]


@pytest.mark.usefixtures("sent")
def test_the_host_is_as_the_system_says(running: Running) -> None:
    memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
    values = {
        name: running.backends.query(f'{name}{{job="valued"}}')[0].value
        for name in ("system_cpu_usage_percent", "system_memory_usage_bytes", "system_disk_usage_bytes")
    }

    assert 0 <= values["system_cpu_usage_percent"] <= 100
    assert values["system_memory_usage_bytes"] == pytest.approx(memory.total - memory.available, abs=memory.total / 5)
    assert values["system_disk_usage_bytes"] == pytest.approx(disk.used, rel=0.1)
