"""What is started for a request goes on in its trace; a worker that it happened to start does not stay there."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from queue import SimpleQueue
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id, trace_operation
from tests.support.fork import in_a_fork


class Worker:
    """Answers by which trace it is in, once for each question."""

    def __init__(self) -> None:
        self.questions: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self.answers: SimpleQueue[Any] = SimpleQueue()

    def work(self) -> None:
        while question := self.questions.get():
            self.answers.put(question())

    def ask(self, question: Callable[[], Any] = get_current_trace_id) -> Any:
        self.questions.put(question)
        return self.answers.get(timeout=10)


@pytest.fixture
def worker(captured: Capture) -> Iterator[Worker]:
    yield (worker := Worker())
    worker.questions.put(None)


class OwnThread(threading.Thread):
    def run(self) -> None:
        super().run()


def own_thread(work: Callable[[], None]) -> None:
    OwnThread(target=work).start()


def thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work).start()


def daemon(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def timer(work: Callable[[], None]) -> None:
    threading.Timer(0, work).start()


def thread_pool(work: Callable[[], None]) -> None:
    pool = ThreadPool(1)
    pool.apply_async(work)
    pool.close()


@pytest.mark.parametrize("start", [thread, daemon, own_thread, timer, thread_pool])
def test_a_worker_that_the_first_request_starts_is_in_its_trace_as_long_as_it_lasts(
    start: Callable[[Callable[[], None]], None], worker: Worker
) -> None:
    with trace_operation("request 1"):
        start(worker.work)
        first = (worker.ask(), get_current_trace_id())
    with trace_operation("request 2"):
        second = worker.ask()

    assert first[0] == first[1]
    assert (second, worker.ask()) == (None, None)


def test_its_spans_and_baggage_are_of_its_own_then(worker: Worker, captured: Capture) -> None:
    token = context.attach(baggage.set_baggage("school", "north"))
    with trace_operation("request"):
        thread(worker.work)
        before = worker.ask(lambda: baggage.get_baggage("school"))
    context.detach(token)

    def work() -> object:
        with trace_operation("job"):
            return context.get_value("anything"), baggage.get_baggage("school")

    assert (before, worker.ask(work)) == ("north", (None, None))
    spans = {span.name: span for span in captured.spans}
    assert spans["job"].parent is None
    assert spans["job"].context.trace_id != spans["request"].context.trace_id


def test_a_step_that_began_in_time_keeps_its_trace_to_its_end(worker: Worker, captured: Capture) -> None:
    steps = []

    def begin() -> None:
        steps.append(step := trace_operation("step"))
        step.__enter__()

    def end() -> None:
        with trace_operation("part"):
            pass
        steps[0].__exit__(None, None, None)

    with trace_operation("request"):
        thread(worker.work)
        worker.ask(begin)
    worker.ask(end)

    assert {span.context.trace_id for span in captured.spans} == {1}
    assert {span.name for span in captured.spans} == {"request", "step", "part"}


def test_a_job_of_an_executor_is_in_the_trace_of_its_submission_even_after_it(captured: Capture) -> None:
    gate = threading.Event()

    def late() -> str | None:
        gate.wait(10)
        return get_current_trace_id()

    with ThreadPoolExecutor(1) as executor:
        with trace_operation("request 1"):
            expected, job = get_current_trace_id(), executor.submit(late)
        gate.set()

        assert job.result() == expected
        assert executor.submit(get_current_trace_id).result() is None


def test_a_thread_that_an_unsampled_request_starts_is_in_no_trace(worker: Worker) -> None:
    tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("app")
    with tracer.start_as_current_span("request"):
        thread(worker.work)

        assert worker.ask() is None
        assert not worker.ask(lambda: trace.get_current_span().get_span_context().is_valid)


def test_a_forked_child_is_in_no_trace(captured: Capture) -> None:
    with trace_operation("request"):
        assert in_a_fork(get_current_trace_id) is None
        assert get_current_trace_id() is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_worker_that_is_forked_by_a_request_is_in_no_trace(captured: Capture) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as executor:
        with trace_operation("request"):
            inside = executor.submit(get_current_trace_id).result()

        assert (inside, executor.submit(get_current_trace_id).result()) == (None, None)
