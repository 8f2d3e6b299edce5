"""Whether answers are good: what was found for them, what was judged of them, what was kept from them."""

import threading
from collections.abc import Iterator

import pytest

from otel_tutor import rag
from otel_tutor.monitoring import metrics_collector
from otel_tutor.rag import observe_question
from otel_tutor.testing import Capture

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def only_event(captured: Capture) -> dict[str, object]:
    (record,) = captured.logs
    return dict(record.log_record.attributes or {})


def test_an_evaluation_is_an_event_in_the_trace_of_its_question(captured: Capture) -> None:
    with observe_question("Why?", "physics") as question:
        question.evaluate("relevance", 0.75, "pass", "It says why, which Ada asked.")

    (record,), (span,) = captured.logs, captured.spans
    assert record.log_record.event_name == record.log_record.body == "gen_ai.evaluation.result"
    assert span.context is not None
    assert (record.log_record.trace_id, record.log_record.span_id) == (span.context.trace_id, span.context.span_id)
    assert only_event(captured) == {
        "event.name": "gen_ai.evaluation.result",
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.75,
        "gen_ai.evaluation.score.label": "pass",
        "tutor.subject": "physics",
    }


def test_the_explanation_of_an_evaluation_is_text_that_is_asked_for(
    captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "EVENT_ONLY")
    with observe_question("Why?", "physics") as question:
        question.evaluate("relevance", 0.75, explanation="It says why.")

    (record,) = captured.logs
    assert (record.log_record.attributes or {})["gen_ai.evaluation.explanation"] == "It says why."


def test_evaluations_are_counted_and_scored_by_name_and_subject(captured: Capture) -> None:
    with observe_question("Why?", "physics") as question:
        question.evaluate("relevance", 0.5, "pass")
        question.evaluate("relevance", 1.0, "pass")
        question.feedback(label="thumbs_up")

    assert captured.value("gen_ai_evaluations_total", evaluation="relevance", label="pass", subject="physics") == 2
    assert captured.sum("gen_ai_evaluation_score", evaluation="relevance", subject="physics") == 1.5
    assert captured.value("gen_ai_evaluations_total", evaluation="user_feedback", label="thumbs_up") == 1
    assert captured.count("gen_ai_evaluation_score", evaluation="user_feedback") == 0


def test_feedback_that_comes_later_finds_its_question(captured: Capture) -> None:
    with observe_question("Why?", "physics") as question:
        reference = question.reference
    later = threading.Thread(target=rag.feedback, args=(reference, 0.0, "thumbs_down"), kwargs={"subject": "physics"})
    later.start()
    later.join()

    (record,), (span,) = captured.logs, captured.spans
    assert span.context is not None
    assert (record.log_record.trace_id, record.log_record.span_id) == (span.context.trace_id, span.context.span_id)
    assert captured.sum("gen_ai_evaluation_score", evaluation="user_feedback", subject="physics") == 0
    assert captured.count("gen_ai_evaluation_score", evaluation="user_feedback", subject="physics") == 1


@pytest.mark.parametrize("reference", ["", "nonsense", "00-0-0-00", None, 3])
def test_an_evaluation_without_a_question_is_counted(captured: Capture, reference: str) -> None:
    rag.evaluate(reference, "relevance", 1.0)

    (record,) = captured.logs
    assert not record.log_record.trace_id
    assert captured.value("gen_ai_evaluations_total", evaluation="relevance", label="none", subject="none") == 1


def test_what_a_guardrail_blocks_is_counted_and_on_the_span(captured: Capture) -> None:
    with observe_question("Why?", "physics") as question:
        question.guardrail("off_topic")
        question.guardrail("personal_data", "blocked")

    assert captured.value("guardrail_checks_total", guardrail="off_topic", outcome="passed", subject="physics") == 1
    assert captured.value("guardrail_checks_total", guardrail="personal_data", outcome="blocked") == 1
    (span,) = captured.spans
    assert [event.name for event in span.events] == ["guardrail", "guardrail"]


def test_scores_and_citations_are_of_the_subject_that_was_decided_last(captured: Capture) -> None:
    with observe_question("Why?", "undecided") as question:
        with question.retrieval() as retrieval:
            retrieval.documents, retrieval.score = 3, 0.8
        question.subject, question.cited = "physics", 2

    assert captured.sum("rag_retrieval_score", subject="physics") == 0.8
    assert captured.sum("rag_context_cited", subject="physics") == 2


@pytest.mark.parametrize(("documents", "empty"), [(0, 1), (2, 0)])
def test_a_question_for_which_nothing_was_found_is_counted(captured: Capture, documents: int, empty: int) -> None:
    with observe_question("Why?", "physics") as question, question.retrieval() as retrieval:
        retrieval.documents = documents
    metrics_collector.track_rag_query("biology", 0.1, documents, 1.0)

    assert captured.value("rag_queries_without_documents_total", subject="physics") == empty
    assert captured.value("rag_queries_without_documents_total", subject="biology") == empty


def test_a_search_that_failed_has_not_found_nothing(captured: Capture) -> None:
    with pytest.raises(OSError, match="gone"), observe_question("Why?", "physics") as question, question.retrieval():
        raise OSError("gone")
    with observe_question("Why?", "physics"):
        pass  # no search was asked for
    metrics_collector.track_rag_query("physics", 0, 0, status="failed")

    assert captured.value("rag_queries_without_documents_total") == 0


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("tool_use", "tool_call"),
        ("refusal", "content_filter"),
    ],
)
def test_why_an_answer_ended_has_one_word_for_all_providers(captured: Capture, reason: str, word: str) -> None:
    with observe_question("Why?", "physics") as question, question.generation("small") as generation:
        generation.finish_reason = reason

    assert captured.value("model_finish_reasons_total", model_name="small", finish_reason=word) == 1


def test_the_pieces_of_a_stream_are_timed(captured: Capture) -> None:
    def pieces() -> Iterator[str]:
        for seconds in (2, 0.5, 0.25):
            frozen.advance(seconds)
            yield "word"

    with captured.frozen() as frozen, observe_question("Why?", "physics") as question:
        list(question.generation("small").stream(pieces()))

    assert captured.sum("gen_ai_client_operation_time_to_first_chunk_seconds", model_name="small") == 2
    assert captured.sum("gen_ai_client_operation_time_per_output_chunk_seconds", model_name="small") == 0.75
    assert captured.count("gen_ai_client_operation_time_per_output_chunk_seconds", model_name="small") == 2


def test_a_conversation_and_a_prompt_are_on_spans_and_never_labels(captured: Capture) -> None:
    with (
        observe_question("Why?", "physics", conversation_id="c-1") as question,
        question.generation("small", prompt="explain", prompt_version="3"),
    ):
        pass

    by_name = {span.name: span.attributes or {} for span in captured.spans}
    assert by_name["rag.query"]["gen_ai.conversation.id"] == by_name["chat small"]["gen_ai.conversation.id"] == "c-1"
    assert by_name["chat small"]["gen_ai.prompt.name"] == "explain"
    assert by_name["chat small"]["gen_ai.prompt.version"] == "3"
    labels = {key for points in captured.read_metrics().values() for point in points for key in point.attributes}
    assert labels & {"gen_ai.conversation.id", "gen_ai.prompt.name"} == set()


def test_outside_of_its_block_a_question_records_what_it_can_and_raises_nothing(captured: Capture) -> None:
    question = observe_question("Why?", "physics")
    question.guardrail("off_topic")
    question.feedback(1.0)

    assert question.reference == ""
    assert captured.value("guardrail_checks_total", guardrail="off_topic") == 1
