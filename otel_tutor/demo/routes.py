"""The tutor's HTTP interface: an endpoint checks its input and leaves blocking work to a thread, trace context included."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openai import OpenAIError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from otel_tutor.demo import body
from otel_tutor.demo.body import BadInputError
from otel_tutor.demo.faults import Faults, stall_one_worker_while_on
from otel_tutor.demo.generation import GenerationError
from otel_tutor.demo.model_server import Account
from otel_tutor.demo.outbox import Outbox
from otel_tutor.demo.page import PAGE
from otel_tutor.demo.practice import Practice
from otel_tutor.demo.retrieval import UNKNOWN
from otel_tutor.demo.sessions import Sessions
from otel_tutor.demo.tutor import Reply, Tutor
from otel_tutor.rag import feedback

__all__ = ["ROUTES", "Services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the endpoints call; one of each per worker process."""

    tutor: Tutor
    practice: Practice
    sessions: Sessions
    outbox: Outbox
    faults: Faults
    model_account: Account
    subjects: Sequence[str]


def _services(request: Request) -> Services:
    services: Services = request.state.services
    return services


async def _page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def _asked(request: Request) -> tuple[str, str | None, str | None, str | None]:
    """Question, subject if one is named, session if there is one, and model if the query names one."""
    sent, services = await body.read_object(request), _services(request)
    question, session, subject = body.text(sent, "question"), body.session(sent), sent.get("subject")
    model = request.query_params.get("model")
    return (
        question,
        None if subject is None else body.choice("subject", subject, services.subjects),
        session,
        None if model is None else body.choice("model", model, services.tutor.models),
    )


async def _ask(request: Request) -> Response:
    asked = await _asked(request)
    return JSONResponse(_reply(await run_in_threadpool(_services(request).tutor.ask, *asked)))


async def _stream(request: Request) -> Response:
    asked = await _asked(request)
    pieces = await run_in_threadpool(_services(request).tutor.stream, *asked)
    return StreamingResponse(pieces, media_type="text/plain")


async def _live(websocket: WebSocket) -> None:
    """A conversation: each message is a question, each answer a message."""
    services: Services = websocket.state.services
    await websocket.accept()
    async for question in websocket.iter_text():
        try:
            reply = await run_in_threadpool(services.tutor.ask, body.text({"question": question}, "question"))
            await websocket.send_json(_reply(reply))
        except (BadInputError, GenerationError, OpenAIError) as error:
            await websocket.send_json({"error": str(error)})


def _reply(reply: Reply) -> dict[str, object]:
    return {
        "answer": reply.answer,
        "model": reply.model,
        "subject": reply.subject,
        "topic": reply.topic,
        "sources": [
            {"topic": scored.passage.topic, "text": scored.passage.text, "score": round(scored.score, 4)}
            for scored in reply.sources
        ],
        "trace_id": reply.trace_id,
        "reference": reply.reference,
        "seconds": {"retrieval": reply.retrieval_seconds, "generation": reply.generation_seconds},
    }


async def _feedback(request: Request) -> Response:
    """What a student thinks of an answer: whether it helped."""
    sent, services = await body.read_object(request), _services(request)
    reference, helped = body.text(sent, "reference"), body.boolean(sent, "helped")
    subject = body.choice("subject", sent.get("subject"), [*services.subjects, UNKNOWN])
    feedback(reference, float(helped), "helped" if helped else "did not help", subject=subject)
    return Response(status_code=204)


async def _open_session(request: Request) -> Response:
    stall_one_worker_while_on(_services(request).faults)
    session = await run_in_threadpool(_services(request).sessions.open)
    return JSONResponse({"session": session}, status_code=201)


async def _end_session(request: Request) -> Response:
    if not await run_in_threadpool(_services(request).sessions.end, request.path_params["session_id"]):
        raise HTTPException(404, "There is no open session of that identifier.")
    return Response(status_code=204)


async def _subjects(request: Request) -> Response:
    return JSONResponse({"subjects": list(_services(request).subjects)})


async def _practice(request: Request) -> Response:
    services = _services(request)
    subject = body.choice("subject", request.path_params["subject"], services.subjects)
    items = [
        {"item": number, "topic": item.topic, "question": item.question}
        for number, item in enumerate(services.practice.items(subject))
    ]
    return JSONResponse({"subject": subject, "items": items})


async def _answer(request: Request) -> Response:
    services = _services(request)
    subject = body.choice("subject", request.path_params["subject"], services.subjects)
    given = await body.read_object(request)
    item, answer, session = body.integer(given, "item"), body.text(given, "answer"), body.session(given)
    try:
        correct = await run_in_threadpool(services.practice.mark, subject, item, answer, session)
    except IndexError:
        raise BadInputError(f"There is no practice item {item} in {subject}.") from None
    return JSONResponse({"correct": correct})


async def _sync(request: Request) -> Response:
    drained = await run_in_threadpool(_services(request).outbox.drain)
    return JSONResponse({"records": dict(drained.records), "remaining": drained.remaining, "seconds": drained.seconds})


async def _model_account(request: Request) -> Response:
    """What the servers of all workers have served: calls and tokens."""
    return JSONResponse(await run_in_threadpool(_services(request).model_account.read))


async def _faults(request: Request) -> Response:
    return JSONResponse(_services(request).faults.states())


async def _switch_fault(request: Request) -> Response:
    if not _is_local(request):
        raise HTTPException(403, "Faults are switched from the machine that the tutor runs on.")
    faults, on = _services(request).faults, body.boolean(await body.read_object(request), "on")
    try:
        faults.switch(request.path_params["name"], on)
    except ValueError as error:
        raise BadInputError(str(error)) from None
    return JSONResponse(faults.states())


def _is_local(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


ROUTES: Final = (
    Route("/", _page),
    Route("/ask", _ask, methods=["POST"]),
    Route("/ask/stream", _stream, methods=["POST"]),
    Route("/feedback", _feedback, methods=["POST"]),
    WebSocketRoute("/live", _live),
    Route("/sessions", _open_session, methods=["POST"]),
    Route("/sessions/{session_id}", _end_session, methods=["DELETE"]),
    Route("/subjects", _subjects),
    Route("/practice/{subject}", _practice),
    Route("/practice/{subject}/answers", _answer, methods=["POST"]),
    Route("/sync", _sync, methods=["POST"]),
    Route("/model/account", _model_account),
    Route("/faults", _faults),
    Route("/faults/{name}", _switch_fault, methods=["PUT"]),
)
