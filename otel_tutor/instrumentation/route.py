"""What an ASGI scope says: the route template, bounded by the routes an app has, and the trace that goes on here."""

import functools
from typing import Final

from opentelemetry import propagate
from opentelemetry.context import Context
from starlette.routing import Mount
from starlette.types import Scope

from otel_tutor import catalogue
from otel_tutor.recording.instruments import bounded

__all__ = ["PROBES", "bounded_route", "remote_parent", "route_template"]

# Asked every few seconds by a machine: neither counted nor traced, or they would drown what students ask.
PROBES: Final = ("/health", "/health/ready", "/health/live")


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


def bounded_route(scope: Scope) -> str | None:
    """`route_template`, fit to be a label."""
    template = route_template(scope)
    return None if template is None else bounded(catalogue.ROUTE, template)


@functools.cache
def _propagated() -> frozenset[bytes]:
    return frozenset(field.encode("latin-1") for field in propagate.get_global_textmap().fields)


def remote_parent(scope: Scope) -> Context:
    """The context that the caller's headers carry (W3C trace context), or an empty one."""
    fields = _propagated()
    return propagate.extract({name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in fields})
