"""The route template of a request, bounded by the routes an app has: never the path a client sent."""

from typing import Final

from starlette.routing import Mount
from starlette.types import Scope

__all__ = ["PROBES", "route_template"]

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
