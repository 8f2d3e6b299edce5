"""The attributes of a request's span by the semantic conventions; a route and a status are added when they are known.

They are those of opentelemetry-instrumentation-asgi, made with its public helpers: the function that makes all of them takes
a private argument.
"""

import functools
from typing import Any

from opentelemetry.instrumentation.asgi import asgi_getter, get_host_port_url_tuple
from opentelemetry.util.http import detect_synthetic_user_agent, sanitize_method
from starlette.types import Scope

from otel_tutor.recording.values import valid_utf8

__all__ = ["request_attributes"]


def request_attributes(scope: Scope) -> dict[str, Any]:
    """What is known of a request before it is routed.

    A query string and a client's address can identify a student; the service is operated without them.
    """
    agent = b""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value
            break
    server, method = scope.get("server"), scope["method"]
    common = _common(
        method if type(method) is str else _text(method),
        scope.get("scheme", "http"),
        scope.get("http_version", ""),
        server if type(server) is tuple else tuple(server) if server else None,
        agent,
    )
    path = scope["path"]
    return {**common, "url.path": path if type(path) is str and path.isascii() else valid_utf8(_text(path))}


def _text(value: object) -> str:
    return value if isinstance(value, str) else value.decode("latin-1") if isinstance(value, bytes) else str(value)


@functools.lru_cache(maxsize=512)  # some methods times some browsers; others are worked out again
def _common(
    method: str, scheme: str, version: str, server: tuple[str, int | None] | None, agent: bytes
) -> dict[str, str | int]:
    known_method = sanitize_method(method) if method else None
    _, port, _ = get_host_port_url_tuple({"server": server})  # type: ignore[no-untyped-call]  # upstream has no types
    user_agent = _decoded(agent)
    attributes = {
        "http.request.method": known_method,
        "http.request.method_original": method.strip() if method.strip() != known_method else None,
        "url.scheme": scheme,
        "server.address": server[0] if server else "0.0.0.0",
        "server.port": port,
        "network.protocol.version": version,
        "user_agent.original": user_agent,
        "user_agent.synthetic.type": detect_synthetic_user_agent(user_agent),
    }
    return {key: value for key, value in attributes.items() if value}


def _decoded(agent: bytes) -> str:
    try:
        return str((asgi_getter.get({"headers": [(b"user-agent", agent)]}, "user-agent") or [""])[0])
    except ValueError:  # neither UTF-8 nor a valid escape
        return agent.decode("latin-1")
