"""A question being answered, and the search for passages."""

from typing import Final

from otel_tutor import catalogue
from otel_tutor.rag.evaluation import reference_of
from otel_tutor.rag.generation import Generation
from otel_tutor.rag.step import Step, set_count
from otel_tutor.recording.evaluation import FEEDBACK, record_evaluation, record_guardrail
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.operation import QUESTION, RETRIEVAL, Operation
from otel_tutor.recording.origin import CONVERSATION, SUBJECT
from otel_tutor.recording.overlap import Overlap
from otel_tutor.recording.question import (
    record_activity,
    record_empty,
    record_generation,
    record_quality,
    record_query,
    record_retrieval,
)
from otel_tutor.recording.values import to_count, to_name
from otel_tutor.tracing import PROVIDER, question_attributes, retrieval_attributes

__all__ = ["Question", "Retrieval", "observe_question"]


def observe_question(
    question: str, subject: str, topic: str | None = None, *, conversation_id: str | None = None
) -> "Question":
    """Observe the answering of a question, in a `with` block, sync or async code alike.

    conversation_id: of a session of several questions; it is on the spans of the question and of calls to models, as
        `gen_ai.conversation.id`, and never a label.
    """
    return Question(question, subject, topic, conversation_id)


class Question(Step):
    """A question being answered. What is public of it can be set until it ends.

    documents: passages that were found. cited: those of them that the answer cites; None where that is not known.
    """

    def __init__(self, question: str, subject: str, topic: str | None, conversation_id: str | None = None) -> None:
        self.subject = subject
        self.topic = topic
        self.documents = 0
        self.cited: int | None = None
        self._conversation: Final = conversation_id
        self._scores: Final[list[object]] = []  # of the best passage of each search
        self._retrievals: Final = Overlap()
        self._generations: Final = Overlap()
        self._text: Final = question
        self._streams = 0  # given to the app and not at their end
        self._left = False

    @property
    def retrieval_seconds(self) -> float | None:
        """The time in which passages were searched for, or None without a search. Searches side by side take it once."""
        return self._retrievals.seconds()

    @property
    def generation_seconds(self) -> float:
        """The time in which answers were written; those that are written side by side take it once."""
        return self._generations.seconds() or 0.0

    def retrieval(self, top_k: int = 5) -> "Retrieval":
        """Observe the search for passages, in a `with` block; `top_k` is how many are asked for."""
        return Retrieval(self, self._text, top_k)

    def generation(
        self,
        model_name: str,
        quantization_type: str = "none",
        input_tokens: int | None = None,
        *,
        provider: str | None = None,
        prompt: str | None = None,
        prompt_version: str | None = None,
        tokenizer: object = None,
    ) -> Generation:
        """Observe the writing of the answer by a model: in a `with` block, or as a stream.

        provider: who serves the model, e.g. "openai", as in `gen_ai.provider.name`; None for one in this process.
        prompt, prompt_version: which template the prompt is made from; they are on the span of the call.
        tokenizer: the model's, which counts the tokens of a stream that does not say them: one of transformers, tokenizers
            or tiktoken, or a function from a text to its tokens. A streamer of transformers has it already.
        """
        attributes = {
            PROVIDER: provider,
            CONVERSATION: self._conversation,
            "gen_ai.prompt.name": prompt,
            "gen_ai.prompt.version": prompt_version,
        }
        return Generation(self, model_name, quantization_type, input_tokens, attributes, tokenizer)

    def guardrail(self, name: str, outcome: str = "passed") -> None:
        """Count a check of the question or the answer against a rule; outcome: "passed", "blocked" or a word of yours."""
        attempt(record_guardrail, name, outcome, self.subject)
        attempt(self._add_guardrail, name, outcome)

    def evaluate(
        self, name: str, score: float | None = None, label: str | None = None, explanation: str | None = None
    ) -> None:
        """Record how good the answer is: an event of the conventions in the question's trace, a count and a score.

        name: of what is judged, e.g. "relevance". score: as a rule from 0 to 1; never negative. label: e.g. "pass".
        explanation: is text, so it is recorded only where content is asked for.
        For a judgement after the answer has been sent, see `otel_tutor.rag.evaluate`.
        """
        attempt(self._evaluate, name, score, label, explanation)

    def feedback(self, score: float | None = None, label: str | None = None) -> None:
        """Record what the one who asked thinks of the answer, as `evaluate` does."""
        self.evaluate(FEEDBACK, score, label)

    @property
    def reference(self) -> str:
        """What `otel_tutor.rag.evaluate` and `feedback` need later to find the question: text, fit for a page or a table.

        It is empty before the question begins.
        """
        return reference_of(self._operation.span) if hasattr(self, "_operation") else ""

    def _add_guardrail(self, name: str, outcome: str) -> None:
        event = {catalogue.GUARDRAIL.key: to_name(name), catalogue.GUARDRAIL_OUTCOME.key: to_name(outcome)}
        self._operation.span.add_event("guardrail", event)

    def _evaluate(self, name: str, score: float | None, label: str | None, explanation: str | None) -> None:
        with self._operation.active():
            record_evaluation(name, score, label, explanation, self.subject)

    def _begin(self) -> Operation:
        attributes = {**question_attributes(self._text, self.subject), CONVERSATION: self._conversation}
        values = {SUBJECT: lambda: self.subject, CONVERSATION: self._conversation}
        return Operation("rag.query", attributes, role=QUESTION, on_end=self._record, values=values)

    def _leave(self, error: BaseException | None) -> None:
        self._left = True
        if error is not None or not self._streams:
            super()._leave(error)

    def _stream_ended(self, error: BaseException | None) -> None:
        self._streams -= 1
        if self._left:
            self._leave(error)

    def _record(self, _: float, __: BaseException | None) -> None:
        outcome = self._operation.outcome
        if "activity" not in self._operation.recorded_by_app:
            attempt(record_activity, self.subject, self.topic)
        if "query" not in self._operation.recorded_by_app:
            attempt(record_query, self.subject, self.documents, outcome)
            # A step that was done took its time, whatever became of the question: a slow search may be why it timed out.
            if (retrieval := self._retrievals.latency(outcome)) is not None:
                attempt(record_retrieval, self.subject, retrieval)
                attempt(record_empty, self.subject, self.documents)
            if (generation := self._generations.latency(outcome)) is not None:
                attempt(record_generation, self.subject, generation)
        attempt(record_quality, self.subject, self._scores, self.cited)
        span = self._operation.span
        attempt(span.set_attributes, {catalogue.OUTCOME.key: outcome, catalogue.SUBJECT.key: to_name(self.subject)})
        set_count(span, catalogue.RAG_DOCUMENTS.name, self.documents)


class Retrieval(Step):
    """A search for passages.

    documents: set it to how many it found. score: set it to how well the best of them fits, as the store scores it; leave it
    out for distances, where less is better, and for scores below 0.
    """

    def __init__(self, question: Question, query: str, top_k: int) -> None:
        self.documents = 0
        self.score: float | None = None
        self._question = question
        self._query = query
        self._top_k = top_k

    def _begin(self) -> Operation:
        self._question._retrievals.begin()
        attributes = retrieval_attributes(self._query, self._top_k)
        return Operation("rag.retrieval", attributes, role=RETRIEVAL, on_end=self._record)

    def _record(self, _: float, __: BaseException | None) -> None:
        self._question._retrievals.end(self._operation.outcome)
        set_count(self._operation.span, catalogue.RAG_DOCUMENTS.name, self.documents)
        if self.score is not None:
            self._question._scores.append(self.score)
            set_count(self._operation.span, catalogue.RAG_SCORE.name, self.score)
        before, found = to_count(self._question.documents), to_count(self.documents)
        self._question.documents = self.documents if before is None or found is None else int(before + found)
