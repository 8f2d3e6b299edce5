"""`/health`, `/health/ready` and `/health/live` for any Starlette or FastAPI app."""

import hmac
import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.health.service import HealthService, health_service
from otel_tutor.health.status import HealthStatus
from otel_tutor.instrumentation.route import PROBES, probe
from otel_tutor.recording.guard import attempt

__all__ = ["health_routes"]

_OK: Final = 200
_UNAVAILABLE: Final = 503
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def health_routes(
    service: HealthService = health_service, *, token: str | None = None, loopback: bool = True
) -> list[Route]:
    """The three routes of a service: `app.router.routes.extend(health_routes())`, or below a path with `Mount`.

    Every client sees the status of each check; messages, details, the version and the classes of exceptions go to those who
    send `Authorization: Bearer <token>` and to clients on this machine. Behind a proxy on this machine that adds no
    forwarding header every client seems to be on it: `loopback=False` leaves only the token. Raises ConfigurationError for
    an empty token.
    """
    with refusing("token"):
        secret = None if token is None else str.strip(token)  # a file it was read from ends in a newline
    if secret == "":
        raise ConfigurationError("token is empty: pass a secret string, or leave it out")

    async def health(request: Request) -> Response:
        detailed = (loopback and bool(attempt(_is_local, request))) or bool(attempt(_has_token, request, secret))
        body = await service.check_health(detailed=detailed)
        if not detailed:
            body["version"] = None
        return _respond(body, ok=body["status"] != HealthStatus.UNHEALTHY)

    async def ready(_: Request) -> Response:
        body = await service.check_readiness()
        return _respond(body, ok=body["ready"])

    async def live(_: Request) -> Response:
        return _respond(await service.check_liveness(), ok=True)

    return [
        Route(path, probe(endpoint), methods=["GET"], include_in_schema=False)  # GET brings HEAD with it
        for path, endpoint in zip(PROBES, (health, ready, live), strict=True)
    ]


def _respond(body: Mapping[str, Any], *, ok: bool) -> Response:
    return Response(
        json.dumps(body),  # ASCII: a path on disk need not be valid text
        status_code=_OK if ok else _UNAVAILABLE,
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


def _is_local(request: Request) -> bool:
    """Whether the client itself is on this machine, and not a proxy in front of it."""
    if request.client is None or any(header in request.headers for header in _FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _has_token(request: Request, secret: str | None) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return (
        secret is not None
        and scheme.lower() == "bearer"
        and hmac.compare_digest(token.strip().encode("latin-1"), secret.encode())
    )
