"""What a client sends, checked: every fault in it is one sentence that says what to send instead."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Final

from starlette.requests import Request

__all__ = ["BadInputError", "boolean", "choice", "integer", "read_object", "session", "text"]

_LONGEST_TEXT: Final = 1000  # characters
_SESSION: Final = re.compile(r"[0-9a-f]{32}")

Body = Mapping[str, object]


class BadInputError(Exception):
    """The request cannot be answered as it is; the message says why, for the person who sent it."""


async def read_object(request: Request) -> Body:
    """The JSON object in the request's body."""
    try:
        body: object = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadInputError("The body must be a JSON object.")
    return body


def text(body: Body, name: str) -> str:
    """A text that is there, not blank, storable, and at most 1000 characters long."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadInputError(f"The field {name!r} must be a text that is not blank.")
    if len(value) > _LONGEST_TEXT:
        raise BadInputError(f"The field {name!r} has {len(value)} characters; at most {_LONGEST_TEXT} are taken.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInputError(f"The field {name!r} holds half of a surrogate pair, which is no character.") from None
    return value.strip()


def choice(name: str, value: object, known: Collection[str]) -> str:
    """A subject or a model that the tutor has."""
    if not isinstance(value, str) or value not in known:
        raise BadInputError(f"The {name} is unknown; the known ones are {', '.join(known)}.")
    return value


def session(body: Body) -> str | None:
    """The identifier of a session, or None where none is given."""
    value = body.get("session")
    if value is not None and not (isinstance(value, str) and _SESSION.fullmatch(value)):
        raise BadInputError("The field 'session' must be an identifier that POST /sessions gave.")
    return value


def integer(body: Body, name: str) -> int:
    """A whole number."""
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInputError(f"The field {name!r} must be a whole number.")
    return value


def boolean(body: Body, name: str) -> bool:
    """True or false."""
    value = body.get(name)
    if not isinstance(value, bool):
        raise BadInputError(f"The field {name!r} must be true or false.")
    return value
