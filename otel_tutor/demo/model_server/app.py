"""The server as an application: each endpoint reads a request, fails if it is asked to, answers, and accounts for it."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_tutor.demo.model_server import chat, google, messages, ollama
from otel_tutor.demo.model_server.account import ABANDONED, CHAT, EMBEDDINGS, Account
from otel_tutor.demo.model_server.embeddings import embed
from otel_tutor.demo.model_server.errors import BadRequestError
from otel_tutor.demo.model_server.faults import Faults, RateLimits
from otel_tutor.demo.model_server.prompt import Body, Details, model_of, read_object
from otel_tutor.demo.model_server.response import JSON_TYPE, LINES_TYPE, STREAM_TYPE, Count, Piece, PiecesResponse
from otel_tutor.demo.model_server.writing import Library, Tokens, write

__all__ = ["CHAT_MODEL", "create_model_app"]

CHAT_MODEL: Final = "tutor-chat-1"
_RETRY_MILLISECONDS: Final = 10  # after which a refused client may try again; clients wait half a second without it
_POLL_SECONDS: Final = 0.01  # how late it is seen that the client of a slow request is gone
_TYPES: Final = {400: "invalid_request_error", 429: "rate_limit_error", 500: "server_error"}

Answer = Callable[[Request, Body, str, Faults, Count], Response]


def create_model_app(library: Library, account: Account) -> Starlette:
    """A server of this library that keeps this account. It checks no key: serve it on loopback only."""
    limits = RateLimits()

    def endpoint(kind: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        return partial(_serve, kind, answer, limits, account)

    async def models(_: Request) -> Response:
        names = (CHAT_MODEL, library.model.name)
        rows = [{"id": name, "object": "model", "created": chat.CREATED, "owned_by": "tutor"} for name in names]
        return JSONResponse({"object": "list", "data": rows})

    async def read_account(_: Request) -> Response:
        return JSONResponse(account.read())

    return Starlette(
        routes=[
            Route("/v1/chat/completions", endpoint(CHAT, partial(_complete, library)), methods=["POST"]),
            Route("/v1/messages", endpoint(CHAT, partial(_message, library)), methods=["POST"]),
            Route("/v1/embeddings", endpoint(EMBEDDINGS, partial(_embed, library)), methods=["POST"]),
            Route("/v1/models", models),
            Route("/api/chat", endpoint(CHAT, partial(_chat_of_ollama, library)), methods=["POST"]),
            Route("/api/embed", endpoint(EMBEDDINGS, partial(_embed_of_ollama, library)), methods=["POST"]),
            *(
                Route(f"/v1beta/models/{{model}}:{name}", endpoint(kind, partial(answer, library)), methods=["POST"])
                for name, kind, answer in (
                    ("generateContent", CHAT, _generate),
                    ("streamGenerateContent", CHAT, _stream_generate),
                    ("embedContent", EMBEDDINGS, _embed_content),
                    ("batchEmbedContents", EMBEDDINGS, _embed_content),
                )
            ),
            Route("/account", read_account),
        ]
    )


async def _serve(kind: str, answer: Answer, limits: RateLimits, account: Account, request: Request) -> Response:
    model, raw = "", await request.body()
    try:
        body = {**read_object(raw), **request.path_params}  # Google has the model in the path
        model = model_of(body)
        faults, count = Faults.of(request.headers), partial(account.add, kind, model)
        if faults.is_limited_once and limits.refuse(request.headers, request.url.path, raw):
            return _fail(429, "The rate limit that was asked for.", count)
        if not await _wait(request, faults.wait):
            count(ABANDONED, {})
            return Response(status_code=499)  # no one reads it
        if faults.fails:
            return _fail(500, "The error that was asked for.", count)
        return answer(request, body, model, faults, count)
    except BadRequestError as error:
        return _fail(400, str(error), partial(account.add, kind, model))


async def _wait(request: Request, seconds: float) -> bool:
    """Whether the client is still there after so long."""
    with anyio.move_on_after(seconds):
        while seconds:
            if await request.is_disconnected():
                return False
            await anyio.sleep(_POLL_SECONDS)
    return True


def _fail(status: int, sentence: str, count: Count) -> Response:
    count(str(status), {})
    error = {"message": sentence, "type": _TYPES[status], "param": None, "code": None}
    # The first "type" is for Anthropic's clients.
    headers = {"retry-after-ms": str(_RETRY_MILLISECONDS)}  # clients try a bad request once only, whatever this says
    return JSONResponse({"type": "error", "error": error}, status_code=status, headers=headers)


def _identity(request: Request, body: Body) -> str:
    return hashlib.sha256(f"{request.url.path} {body}".encode()).hexdigest()[:24]


def _complete(library: Library, request: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    details = Details.of(request.headers)
    written = write(chat.read_prompt(body), library, details)
    shape = (written, model, _identity(request, body), details)
    if not body.get("stream"):
        return _plain(chat.whole(*shape), written.tokens, faults, count)
    options = body.get("stream_options")
    wants_usage = bool(options.get("include_usage")) if isinstance(options, Mapping) else False
    pieces = list(chat.events(*shape, includes_usage=wants_usage))
    return PiecesResponse(pieces, written.tokens, faults, count, STREAM_TYPE)


def _message(library: Library, request: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    details = Details.of(request.headers)
    written = write(messages.read_prompt(body), library, details)
    shape = (written, model, _identity(request, body), details)
    if not body.get("stream"):
        return _plain(messages.whole(*shape), written.tokens, faults, count)
    return PiecesResponse(list(messages.events(*shape)), written.tokens, faults, count, STREAM_TYPE)


def _chat_of_ollama(library: Library, _: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    written = write(ollama.prompt_of(body), library)
    if not body.get("stream", True):
        return _plain(ollama.whole(written, model), written.tokens, faults, count)
    return PiecesResponse(list(ollama.lines(written, model)), written.tokens, faults, count, LINES_TYPE)


def _embed_of_ollama(library: Library, _: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    data, tokens = embed(body, model, library.model)
    return _plain(ollama.embeddings(data, model), Tokens(input=tokens), faults, count)


def _generate(library: Library, request: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    details = Details.of(request.headers)
    written = write(google.read_prompt(body), library, details)
    return _plain(google.whole(written, model, details), written.tokens, faults, count)


def _stream_generate(library: Library, request: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    details = Details.of(request.headers)
    written = write(google.read_prompt(body), library, details)
    return PiecesResponse(list(google.events(written, model, details)), written.tokens, faults, count, STREAM_TYPE)


def _embed_content(library: Library, _: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    data, tokens = embed({"input": google.inputs_of(body)}, model, library.model)
    return _plain(google.embeddings(data, is_batch="requests" in body), Tokens(input=tokens), faults, count)


def _embed(library: Library, _: Request, body: Body, model: str, faults: Faults, count: Count) -> Response:
    data, tokens = embed(body, model, library.model)
    return _plain(data, Tokens(input=tokens), faults, count)


def _plain(data: bytes, tokens: Tokens, faults: Faults, count: Count) -> Response:
    """One piece, or the half of it that is sent if it is cut."""
    middle = len(data) // 2 if faults.is_cut else 0
    pieces = [Piece(data=data[:middle]), Piece(data=data[middle:], tokens=tokens.output)]
    return PiecesResponse(pieces[0 if middle else 1 :], tokens, faults, count, JSON_TYPE)
