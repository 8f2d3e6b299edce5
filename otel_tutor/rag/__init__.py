"""One call for a question and each of its steps: the span and the measurements together, however it ends.

    with observe_question(text, subject="physics") as question:
        with question.retrieval(top_k=5) as retrieval:
            passages = search(text)
            retrieval.documents = len(passages)
        with question.generation("llama-3", "q4") as generation:
            answer = write(text, passages)
            generation.output_tokens = count(answer)

A streamed answer is returned inside the block: `return StreamingResponse(question.generation(...).stream(pieces))`.
The question then ends with the last piece, or when the client goes away. Calls of `otel_tutor.monitoring` and
`otel_tutor.tracing` inside such a block replace what it would have recorded itself: nothing counts twice.
"""

from otel_tutor.rag.evaluation import evaluate, feedback
from otel_tutor.rag.generation import Generation
from otel_tutor.rag.question import Question, Retrieval, observe_question

__all__ = ["Generation", "Question", "Retrieval", "evaluate", "feedback", "observe_question"]
