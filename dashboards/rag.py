"""An answer step by step: found, generated, with how many tokens, by which model."""

from typing import Final

from dashboards.limits import alert, objective
from dashboards.panels import Board, Panel, Query

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-rag",
    title="Tutor: RAG and model",
    description="An answer step by step: found, generated, with how many tokens, by which model.",
    variables=(
        ("subject", "label_values(rag_queries_total, subject)"),
        ("model", "label_values(model_inference_total, model_name)"),
    ),
    panels=(
        Panel(
            title="Questions by outcome",
            description="Questions each second.",
            kind="lines",
            unit="reqps",
            queries=(
                Query(
                    'sum by (status) (rate(rag_queries_total{job=~"$service",subject=~"$subject"}[$__rate_interval]))',
                    "{{status}}",
                ),
            ),
        ),
        Panel(
            title="Share of questions without an answer",
            description="Failed questions among all of a service.",
            kind="lines",
            unit="percentunit",
            queries=(Query('job:rag_queries:error_ratio_rate2m{job=~"$service"}', "{{job}}"),),
            limit=alert("HighRAGFailureRate"),
        ),
        Panel(
            title="Retrieval by subject, P95",
            description="Time to find the passages. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, subject) (rate(rag_retrieval_duration_seconds_bucket{job=~"$service",subject=~"$subject"}[$__rate_interval])))',
                    "{{subject}}",
                    exemplars=True,
                ),
            ),
            limit=objective("rag-retrieval"),
        ),
        Panel(
            title="Generation by subject, P95",
            description="Time to write the answer. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, subject) (rate(rag_generation_duration_seconds_bucket{job=~"$service",subject=~"$subject"}[$__rate_interval])))',
                    "{{subject}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Passages per question",
            description="Average number of passages handed to the model.",
            kind="lines",
            unit="short",
            queries=(
                Query(
                    'sum by (subject) (rate(rag_context_documents_sum{job=~"$service",subject=~"$subject"}[$__rate_interval])) / sum by (subject) (rate(rag_context_documents_count{job=~"$service",subject=~"$subject"}[$__rate_interval]))',
                    "{{subject}}",
                ),
            ),
        ),
        Panel(
            title="Inference by model, P95",
            description="Time of one call to a model. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, model_name, quantization_type) (rate(model_inference_duration_seconds_bucket{job=~"$service",model_name=~"$model"}[$__rate_interval])))',
                    "{{model_name}} {{quantization_type}}",
                    exemplars=True,
                ),
            ),
            limit=objective("model-inference"),
        ),
        Panel(
            title="Time to first token, P95",
            description="Of answers that are streamed.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, model_name) (rate(gen_ai_client_operation_time_to_first_chunk_seconds_bucket{job=~"$service",model_name=~"$model"}[$__rate_interval])))',
                    "{{model_name}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Tokens",
            description="Tokens each second, read and written; with a price for each, this is the cost.",
            kind="lines",
            unit="short",
            queries=(
                Query(
                    'sum by (model_name, type) (rate(model_token_count_sum{job=~"$service",model_name=~"$model"}[$__rate_interval]))',
                    "{{model_name}} {{type}}",
                ),
            ),
        ),
        Panel(
            title="Tokens per call",
            description="Average of a call, read and written.",
            kind="lines",
            unit="short",
            queries=(
                Query(
                    'sum by (model_name, type) (rate(model_token_count_sum{job=~"$service",model_name=~"$model"}[$__rate_interval])) / sum by (model_name, type) (rate(model_token_count_count{job=~"$service",model_name=~"$model"}[$__rate_interval]))',
                    "{{model_name}} {{type}}",
                ),
            ),
        ),
        Panel(
            title="Model calls that fail",
            description="Failed calls each second.",
            kind="lines",
            unit="reqps",
            queries=(
                Query(
                    'sum by (model_name) (rate(model_inference_total{job=~"$service",model_name=~"$model",status="error"}[$__rate_interval]))',
                    "{{model_name}}",
                ),
            ),
            quiet="No call to a model has failed.",
        ),
        Panel(
            title="Memory of models",
            description="What each loaded model occupies in a worker.",
            kind="lines",
            unit="bytes",
            queries=(
                Query(
                    'max by (model_name) (model_memory_usage_bytes{job=~"$service",model_name=~"$model"})', "{{model_name}}"
                ),
            ),
        ),
        Panel(
            title="Practice answers that are right",
            description="Share of right answers by subject.",
            kind="lines",
            unit="percentunit",
            queries=(
                Query(
                    'sum by (subject) (rate(student_practice_answers_total{job=~"$service",subject=~"$subject",correct="true"}[$__rate_interval])) / sum by (subject) (rate(student_practice_answers_total{job=~"$service",subject=~"$subject"}[$__rate_interval]))',
                    "{{subject}}",
                ),
            ),
        ),
    ),
)
