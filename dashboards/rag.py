"""An answer step by step: found, generated, with how many tokens, by which model."""

from typing import Final

from dashboards.limits import alert, objective
from dashboards.models import MODEL_PANELS
from dashboards.panels import Board, Panel, Query
from dashboards.promql import WORKERS, mean, narrowed, quantile, rate

__all__ = ["BOARD"]

_SUBJECT: Final = 'subject=~"$subject"'


BOARD: Final = Board(
    uid="otel-tutor-rag",
    title="Tutor: RAG and model",
    description="An answer step by step: found, generated, with how many tokens, by which model.",
    variables=(
        WORKERS,
        narrowed("subject", "rag_queries_total"),
        narrowed("model", "model_inference_total", "model_name"),
    ),
    panels=(
        Panel(
            title="Questions by outcome",
            description="Questions each second.",
            kind="lines",
            unit="reqps",
            queries=(Query(rate("rag_queries_total", _SUBJECT, by="status"), "{{status}}"),),
        ),
        Panel(
            title="Share of questions without an answer",
            description="Failed questions among all of a service.",
            kind="lines",
            unit="percentunit",
            queries=(Query('job:rag_queries:error_ratio_increase10m{job=~"$service"}', "{{job}}"),),
            threshold=alert("HighRAGFailureRate"),
        ),
        Panel(
            title="Retrieval by subject, P95",
            description="Time to find the passages. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "rag_retrieval_duration_seconds", _SUBJECT, by="subject"), "{{subject}}", exemplars=True
                ),
            ),
            threshold=objective("rag-retrieval"),
        ),
        Panel(
            title="Generation by subject, P95",
            description="Time to write the answer. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "rag_generation_duration_seconds", _SUBJECT, by="subject"), "{{subject}}", exemplars=True
                ),
            ),
        ),
        Panel(
            title="Passages per question",
            description="Average number of passages handed to the model.",
            kind="lines",
            unit="short",
            queries=(Query(mean("rag_context_documents", _SUBJECT, by="subject"), "{{subject}}"),),
        ),
        Panel(
            title="Questions without a passage",
            description="Share of the questions for which nothing was found.",
            kind="lines",
            unit="percentunit",
            queries=(
                Query(
                    rate("rag_queries_without_documents_total", _SUBJECT, by="subject")
                    + " / "
                    + rate("rag_queries_total", _SUBJECT, by="subject"),
                    "{{subject}}",
                ),
            ),
            no_value="A passage was found for every question.",
        ),
        Panel(
            title="Score of the best passage",
            description="Average, as the store scores it.",
            kind="lines",
            unit="short",
            queries=(Query(mean("rag_retrieval_score", _SUBJECT, by="subject"), "{{subject}}"),),
        ),
        Panel(
            title="Passages cited",
            description="Average number of passages that an answer cites.",
            kind="lines",
            unit="short",
            queries=(Query(mean("rag_context_cited", _SUBJECT, by="subject"), "{{subject}}"),),
        ),
        Panel(
            title="Scores of evaluations",
            description="Average by what is judged; user_feedback is what those who asked think.",
            kind="lines",
            unit="short",
            queries=(Query(mean("gen_ai_evaluation_score", _SUBJECT, by="evaluation"), "{{evaluation}}"),),
        ),
        Panel(
            title="Guardrails",
            description="Checks each second, by how they ended.",
            kind="lines",
            unit="reqps",
            queries=(Query(rate("guardrail_checks_total", _SUBJECT, by="guardrail, outcome"), "{{guardrail}} {{outcome}}"),),
        ),
        Panel(
            title="Practice answers that are right",
            description="Share of right answers by subject.",
            kind="lines",
            unit="percentunit",
            queries=(
                Query(
                    rate("student_practice_answers_total", _SUBJECT, 'correct="true"', by="subject")
                    + " / "
                    + rate("student_practice_answers_total", _SUBJECT, by="subject"),
                    "{{subject}}",
                ),
            ),
        ),
        *MODEL_PANELS,
    ),
)
