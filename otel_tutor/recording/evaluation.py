"""What was judged of an answer, by a person or by a model: an event of the GenAI conventions, a score and a count."""

from typing import Any, Final

from opentelemetry import _logs, context

from otel_tutor import catalogue
from otel_tutor.recording.content import ASKED_FOR, captures_in_events
from otel_tutor.recording.instruments import add, labels, record
from otel_tutor.recording.reentry import apart
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_count, to_name, to_text

__all__ = ["FEEDBACK", "record_evaluation", "record_guardrail"]

FEEDBACK: Final = "user_feedback"  # the name of an evaluation by the one who asked
_EVENT: Final = "gen_ai.evaluation.result"
_NO_LABEL: Final = "none"


def record_evaluation(name: object, score: object, label: object, explanation: object, subject: object) -> None:
    """One evaluation, joined to the current span."""
    evaluation, of_subject = (catalogue.EVALUATION, name), (catalogue.SUBJECT, subject)
    add(catalogue.EVALUATIONS, 1, labels(evaluation, (catalogue.EVALUATION_LABEL, to_text(label) or _NO_LABEL), of_subject))
    if score is not None:
        record(catalogue.EVALUATION_SCORE, score, labels(evaluation, of_subject))
    attributes: dict[str, Any] = {
        "gen_ai.evaluation.name": to_name(name),
        "gen_ai.evaluation.score.value": to_count(score),
        "gen_ai.evaluation.score.label": None if label is None else to_name(label),
        catalogue.SUBJECT.key: to_name(subject),
    }
    if explanation is not None and captures_in_events():
        attributes |= {"gen_ai.evaluation.explanation": to_text(explanation), ASKED_FOR: True}
    event = _logs.LogRecord(
        context=context.get_current(),
        event_name=_EVENT,
        severity_number=_logs.SeverityNumber.INFO,
        severity_text="INFO",
        attributes={key: value for key, value in attributes.items() if value is not None},
    )
    apart(lambda: _logs.get_logger("otel_tutor", logger_provider=state.logger_provider).emit(event))


def record_guardrail(name: object, outcome: object, subject: object) -> None:
    """One check of a question or an answer."""
    add(
        catalogue.GUARDRAILS,
        1,
        labels((catalogue.GUARDRAIL, name), (catalogue.GUARDRAIL_OUTCOME, outcome), (catalogue.SUBJECT, subject)),
    )
