"""What an ASGI scope says: the route template, whether it is a health probe's, and the trace that goes on here."""

import functools
from collections.abc import Callable
from typing import Final, TypeVar

from opentelemetry import propagate
from opentelemetry.context import Context
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Scope

from otel_tutor import catalogue
from otel_tutor.recording.instruments import limit_cardinality

__all__ = ["PROBES", "is_probe", "probe", "remote_parent", "route_label", "route_template", "will_reach_probe"]

PROBES: Final = ("/health", "/health/ready", "/health/live")  # paths of `health_routes()`, wherever they are mounted
_PROBE: Final = "__otel_tutor_probe__"  # attribute of an endpoint

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])


def probe(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint as asked every few seconds by a machine: counted or traced, it would drown what students ask."""
    setattr(endpoint, _PROBE, True)
    return endpoint


def is_probe(scope: Scope) -> bool:
    """Whether the endpoint of a routed request is a marked one. Before routing, no."""
    return getattr(scope.get("endpoint"), _PROBE, False)


def will_reach_probe(scope: Scope, app: ASGIApp) -> bool:
    """Whether a request that is not routed yet will reach a marked endpoint, as far as the routes of the app can tell.

    Only paths that end as a probe's are looked up, so that other requests are not routed twice. A probe behind an app that
    does not show its routes is recognised by `is_probe` when it has answered.
    """
    if not scope["path"].endswith(PROBES):
        return False
    routed: Scope = dict(scope)
    routes = getattr(scope.get("app", app), "routes", None)
    while routes:
        matches = [(*route.matches(routed), route) for route in routes]
        best = max(matches, key=lambda match: match[0].value)  # the first of those that match best, as a router takes
        if best[0] is Match.NONE:
            return False
        routed.update(best[1])
        routes = getattr(best[2], "routes", None)
    return is_probe(routed)


def route_template(scope: Scope) -> str | None:
    """The template that matched, with the prefix of its mounts, or None when nothing did.

    Read it after the app ran: Starlette puts the matched route into the scope while routing. The values of a mount's own
    path parameters are put back to their names, so that `/t/{tenant}` stays one template.
    """
    route = scope.get("route")
    path = getattr(route, "path_format", None)
    if not isinstance(path, str):
        return None
    prefix = str(scope.get("root_path", "")).rstrip("/")
    mounts = {str(value): name for name, value in scope.get("path_params", {}).items() if f"{{{name}}}" not in path}
    if prefix and mounts:
        prefix = "/".join(f"{{{mounts[part]}}}" if part in mounts else part for part in prefix.split("/"))
    # A mount that answers by itself (static files) has already moved its own path into root_path.
    return prefix or "/" if isinstance(route, Mount) else prefix + path or "/"


def route_label(scope: Scope) -> str | None:
    """`route_template`, fit to be a label."""
    template = route_template(scope)
    return None if template is None else limit_cardinality(catalogue.ROUTE, template)


@functools.cache
def _propagated() -> frozenset[bytes]:
    return frozenset(field.encode("latin-1") for field in propagate.get_global_textmap().fields)


def remote_parent(scope: Scope) -> Context:
    """The context that the caller's headers carry (W3C trace context), or an empty one."""
    fields = _propagated()
    return propagate.extract({name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in fields})
