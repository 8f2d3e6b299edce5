"""A response in pieces, which is in the account when its client has all of it, or when it ends early."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import anyio
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from otel_tutor.demo.model_server.account import ABANDONED, CUT
from otel_tutor.demo.model_server.faults import Faults
from otel_tutor.demo.model_server.writing import Tokens

__all__ = ["JSON_TYPE", "LINES_TYPE", "STREAM_TYPE", "Piece", "PiecesResponse"]

JSON_TYPE: Final = "application/json"
LINES_TYPE: Final = "application/x-ndjson"
STREAM_TYPE: Final = "text/event-stream"

Count = Callable[[str, dict[str, int]], None]  # status, tokens by type


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a response. tokens: how many of the output are in it."""

    data: bytes
    tokens: int = 0


class PiecesResponse(StreamingResponse):
    """Sends the pieces and counts the call once, before its last piece: a client that has read it finds it counted."""

    def __init__(self, pieces: Sequence[Piece], tokens: Tokens, faults: Faults, count: Count, media_type: str) -> None:
        super().__init__(self._send_pieces(), media_type=media_type)
        self._pieces: Final = pieces[: len(pieces) // 2] if faults.is_cut else pieces
        self._is_cut: Final = faults.is_cut
        self._wait: Final = faults.wait
        self._tokens: Final = tokens
        self._count: Count | None = count
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces; without the end of the body, if it is cut, which makes the server close the connection."""

        async def send_unless_cut(message: Message) -> None:
            if not self._is_cut or message["type"] != "http.response.body" or message.get("more_body"):
                await send(message)

        try:
            await super().__call__(scope, receive, send_unless_cut)
        finally:
            self._end(ABANDONED)

    async def _send_pieces(self) -> AsyncIterator[bytes]:
        for number, piece in enumerate(self._pieces, 1):
            if number > 1 and self._wait:
                await anyio.sleep(self._wait)
            self._sent += piece.tokens
            if number == len(self._pieces) and not self._is_cut:
                self._end("200")
            yield piece.data
        self._end(CUT)

    def _end(self, status: str) -> None:
        if self._count is None:
            return
        whole = self._tokens
        partial = replace(whole, output=self._sent, reasoning=min(whole.reasoning, self._sent))
        count, self._count = self._count, None
        count(status, asdict(whole if status == "200" else partial))
