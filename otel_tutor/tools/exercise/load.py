"""Students at work: a load of questions, practice and sessions on a running tutor, counted exactly.

It knows HTTP only, so that what it counts can be held against what telemetry says.
"""

import asyncio
import itertools
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx2

from otel_tutor.demo.corpus import PracticeItem, Question, read_practice, read_questions

__all__ = ["NO_RESPONSE", "LoadResult", "run_load"]

NO_RESPONSE: Final = 0  # the status of a request that was sent and not answered
_QUESTIONS_PER_VISIT: Final = 4
_VISITS_PER_SYNC: Final = 5
_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What was sent: requests by method, route and status; questions that got a response, whichever, by subject.

    `durations` are seconds from sending to the end of the response, by method and route, in the order of completion.
    """

    requests: Mapping[tuple[str, str, int], int]
    questions: Mapping[str, int]
    durations: Mapping[tuple[str, str], Sequence[float]]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One request of a visit."""

    method: str
    route: str
    path: str
    body: Mapping[str, object] | None = None
    subject: str | None = None  # of a question


_OPEN: Final = _Step(method="POST", route="/sessions", path="/sessions")
_END: Final = _Step(method="DELETE", route="/sessions/{session_id}", path="/sessions/")
_SYNC: Final = _Step(method="POST", route="/sync", path="/sync")
_SUBJECTS: Final = _Step(method="GET", route="/subjects", path="/subjects")


async def run_load(
    base_url: str,
    *,
    seconds: float | None = None,
    requests: int | None = None,
    concurrency: int = 8,
    pause: float = 0.0,
) -> LoadResult:
    """Send requests to the tutor at `base_url` for that many seconds, or exactly that many, as that many students.

    The order is always the same. Every session that is opened is ended, also when the time is up. A student waits `pause`
    seconds before each request: without it, the load is all that the tutor can bear.
    Raises ValueError unless exactly one of `seconds` and `requests` is given.
    """
    if (seconds is None) == (requests is None):
        raise ValueError(f"seconds={seconds!r} and requests={requests!r}: give exactly one of them")
    limits = httpx2.Limits(max_connections=concurrency)
    # The environment's proxies are for the internet; the tutor is next door.
    async with httpx2.AsyncClient(base_url=base_url, timeout=_TIMEOUT_SECONDS, limits=limits, trust_env=False) as client:
        load = _Load(client, _visits(requests), seconds, pause)
        await asyncio.gather(*(load.study() for _ in range(concurrency)))
    return load.result()


def _visits(requests: int | None) -> Iterator[Sequence[_Step]]:
    """Visits without end, or so many that their requests add up; the last is cut short, but not of its end."""
    questions, practice = itertools.cycle(read_questions()), itertools.cycle(_numbered(read_practice()))
    remaining = requests
    for number in itertools.count(1):
        steps = _visit(questions, practice, sync=number % _VISITS_PER_SYNC == 0)
        if remaining is None:
            yield steps
        elif remaining >= len(steps):
            yield steps
            remaining -= len(steps)
        else:
            yield [_SUBJECTS] if remaining == 1 else [*steps[: remaining - 1], _END] if remaining else []
            return


def _visit(questions: Iterator[Question], practice: Iterator[tuple[int, PracticeItem]], *, sync: bool) -> Sequence[_Step]:
    # The last question of a visit is answered sentence by sentence.
    paths = ["/ask"] * (_QUESTIONS_PER_VISIT - 1) + ["/ask/stream"]
    asked = [
        _Step(
            method="POST",
            route=path,
            path=path,
            body={"question": question.text, "subject": question.subject},
            subject=question.subject,
        )
        for path, question in zip(paths, questions, strict=False)
    ]
    number, item = next(practice)
    path = f"/practice/{item.subject}"
    practised = [_Step(method="GET", route="/practice/{subject}", path=path)] + [
        _Step(
            method="POST",
            route="/practice/{subject}/answers",
            path=f"{path}/answers",
            body={"item": number, "answer": answer},
        )
        for answer in ("I do not know", item.answer)
    ]
    return [_OPEN, *asked, *practised, *([_SYNC] if sync else []), _END]


def _numbered(items: Sequence[PracticeItem]) -> Sequence[tuple[int, PracticeItem]]:
    places: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
    return [(next(places[item.subject]), item) for item in items]


class _Load:
    """The state of one load; everything in it happens on one event loop."""

    def __init__(
        self, client: httpx2.AsyncClient, visits: Iterator[Sequence[_Step]], seconds: float | None, pause: float
    ) -> None:
        self._client = client
        self._pause = pause
        self._visits = visits
        self._started = time.perf_counter()
        self._deadline = None if seconds is None else self._started + seconds
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._questions: Counter[str] = Counter()
        self._durations: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    async def study(self) -> None:
        """One student after another, until no visit or no time is left."""
        while not self._is_over():
            steps = next(self._visits, None)
            if steps is None:
                return
            await self._visit(steps)

    def result(self) -> LoadResult:
        """What was sent up to now."""
        return LoadResult(
            requests=dict(self._requests),
            questions=dict(self._questions),
            durations={key: tuple(values) for key, values in self._durations.items()},
            seconds=time.perf_counter() - self._started,
        )

    def _is_over(self) -> bool:
        return self._deadline is not None and time.perf_counter() >= self._deadline

    async def _visit(self, steps: Sequence[_Step]) -> None:
        session: str | None = None
        for step in steps:
            if step is _END:
                await self._send(_SUBJECTS if session is None else step, session)
            elif step is _OPEN:
                response = await self._send(step, None)
                session = response.json()["session"] if response is not None and response.is_success else None
            elif not self._is_over():
                await self._send(step, session)

    async def _send(self, step: _Step, session: str | None) -> httpx2.Response | None:
        path = f"{step.path}{session}" if step is _END else step.path
        body = None if step.body is None else {**step.body, "session": session}
        await asyncio.sleep(self._pause)
        started = time.perf_counter()
        try:
            response = await self._client.request(step.method, path, json=body)
        except httpx2.TransportError:
            response = None
        status = NO_RESPONSE if response is None else response.status_code
        self._requests[step.method, step.route, status] += 1
        self._durations[step.method, step.route].append(time.perf_counter() - started)
        if step.subject is not None and response is not None:
            self._questions[step.subject] += 1
        return response


if __name__ == "__main__":  # python -m otel_tutor.tools.exercise.load URL STUDENTS PAUSE, until SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the first process of a container has no default for it
    asyncio.run(run_load(sys.argv[1], seconds=float("inf"), concurrency=int(sys.argv[2]), pause=float(sys.argv[3])))
