"""Where a request goes: the template of its route, and whether that is a health probe's.

The routes of an app are asked as Starlette's router asks them, because what a router leaves in the scope depends on the
framework and its version: nothing, the route that matched last, or one without the prefix it was included with. What it
leaves is used only where it is sure to be the same.

A `root_path` is no part of a template. It says where a proxy put the app: with it, no dashboard, alert or objective would
compare an app behind one proxy with the same app behind another, or on a laptop. The whole path is in the span's `url.path`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from starlette.routing import Host, Match, Mount
from starlette.types import Scope

from otel_tutor import catalogue
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import limit_cardinality
from otel_tutor.recording.state import state

__all__ = ["DESTINATION", "PROBES", "Destination", "probe", "will_reach_probe"]

DESTINATION: Final = "otel_tutor.destination"  # scope key of the request's one `Destination`, or of None

PROBES: Final = ("/health", "/health/ready", "/health/live")  # paths of `health_routes()`, wherever they are mounted
_PROBE: Final = "__otel_tutor_probe__"  # attribute of an endpoint

_LEFT_BY_ROUTING: Final = {"app_root_path", "endpoint", "fastapi", "path_params", "route"}
_REMEMBERED: Final = 10_000  # routes of all apps: no process has more, but one that makes routes as it runs
_DEEPEST: Final = 50  # middleware around one app: an attribute `app` may lead in a circle

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])


def probe(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint as asked every few seconds by a machine: counted or traced, it would drown what students ask."""
    setattr(endpoint, _PROBE, True)
    return endpoint


def _is_probe(endpoint: object) -> bool:
    return getattr(endpoint, _PROBE, False) is True


class _Place(NamedTuple):
    """A template and the endpoint that it leads to."""

    template: str
    endpoint: object


class _Answer(NamedTuple):
    """What was found while the router had chosen that endpoint."""

    endpoint: object
    place: _Place | None
    label: str | None


class Destination:
    """Where a request to `app` goes. It is looked up again when a router has meanwhile chosen another endpoint.

    The thread that exports asks as well, so that an answer is replaced as a whole.
    """

    __slots__ = ("_answer", "_app", "_arrived", "_scope")

    def __init__(self, scope: Scope, app: object) -> None:
        self._scope = scope
        self._app = _outermost(scope, app)
        self._answer: _Answer | None = None
        self._arrived = False

    def arrive(self, scope: Scope) -> None:
        """Note that the request has reached a router with this scope, which middleware may have copied and changed."""
        if not self._arrived:
            self._scope, self._arrived, self._answer = scope, True, None

    def label(self) -> str | None:
        """The template of the route, fit to be a label; None when no route matches."""
        return self._look_up().label

    def is_probe(self) -> bool:
        """Whether the request goes to a marked endpoint."""
        return self.find()[1]

    def find(self) -> tuple[str | None, bool]:
        """Its label, and whether it is a probe."""
        answer = self._look_up()
        endpoint, place = answer.endpoint, answer.place
        return answer.label, _is_probe(endpoint) or (
            place is not None and place.endpoint is not endpoint and _is_probe(place.endpoint)
        )

    def _look_up(self) -> _Answer:
        answer, endpoint = self._answer, self._scope.get("endpoint")
        if answer is None or answer.endpoint is not endpoint:
            place = attempt(_find, self._scope, self._app)
            label = None if place is None else limit_cardinality(catalogue.ROUTE, place.template)
            answer = self._answer = _Answer(endpoint, place, label)
        return answer


def will_reach_probe(scope: Scope, app: object) -> bool:
    """Whether a request that is not routed yet will reach a marked endpoint, as far as the routes of the app can tell.

    Only paths that end as a probe's are looked up, so that other requests are not routed twice. A probe behind an app that
    does not show its routes is recognised by its `Destination` when it has answered.
    """
    path = scope["path"]
    if type(path) is not str or not path.endswith(PROBES):
        return False
    place = attempt(_find, scope, _outermost(scope, app))
    return place is not None and _is_probe(place.endpoint)


def _outermost(scope: Scope, app: object) -> object:
    """What has all the routes: the router that the request has passed, if it has, else the app that it reaches."""
    return scope.get("router") or scope.get("app") or app


def _find(scope: Scope, app: object) -> _Place | None:
    place = _as_left(scope, app)
    if place is not None:
        return place
    asked = {key: value for key, value in dict(scope).items() if key not in _LEFT_BY_ROUTING}
    asked["root_path"] = scope.get("app_root_path", scope.get("root_path", ""))  # the first mount keeps it under that name
    # Middleware that hides the routes of an app cannot hide the router that the request then reaches.
    return _Search(scope).ask(app if _router(app) else scope.get("router"), asked, "")


def _as_left(scope: Scope, app: object) -> _Place | None:
    """The place by what the router left in the scope, where that is whole: no mount, and a route of the app itself."""
    route, endpoint = scope.get("route"), scope.get("endpoint")
    if route is None or endpoint is None or "app_root_path" in scope or getattr(route, "endpoint", None) is not endpoint:
        return None
    # FastAPI's, with the prefix that the route's router was included with.
    included: Any = (scope.get("fastapi") or {}).get("effective_route_context")
    if getattr(included, "original_route", None) is route and included.endpoint is endpoint:
        return _Place(included.path_format, endpoint)
    known = state.routes.get((id(app), id(route)))
    if known is not None:
        place: _Place = known[2]
        return place
    if not any(route is own for own in getattr(_router(app), "routes", ())):
        return None
    place = _Place(route.path_format, endpoint)
    if len(state.routes) < _REMEMBERED:  # a large app has hundreds to look through
        state.routes[id(app), id(route)] = app, route, place  # both are held, so that their ids stay theirs
    return place


class _Search:
    """Asks the routes of an app, and of what is mounted in it, where one request goes."""

    def __init__(self, scope: Scope) -> None:
        self._left = scope
        self._asked: list[Sequence[object]] = []

    def ask(self, app: object, scope: Scope, prefix: str, routes: Sequence[object] = ()) -> _Place | None:
        """Where `app`, reached below `prefix`, sends a request: to one of its `routes`; None where none of them matches."""
        router = _router(app)
        routes = routes or getattr(router, "routes", None) or ()
        if router is None and not routes:
            return self._behind(app, scope, prefix)
        self._asked.append(routes)
        own_root = getattr(router, "root_path", "")  # of a FastAPI app, which writes it over the server's
        if own_root and isinstance(own_root, str):
            scope = {**scope, "root_path": own_root}
        for path in _paths(scope, router):
            asked = {**scope, "path": path}
            match = _best_match(routes, asked)
            if match is not None:
                return self._follow(match[0], {**asked, **match[1]}, prefix)
        return self._frontend(scope, prefix)

    def _follow(self, route: Any, scope: Scope, prefix: str) -> _Place | None:
        if isinstance(route, Host):
            return self.ask(route.app, scope, prefix, route.routes)
        path = getattr(route, "path_format", None)
        if not isinstance(path, str):
            return None
        if isinstance(route, Mount):
            return self.ask(route.app, scope, prefix + path.removesuffix("/{path}"), route.routes)
        return _Place(prefix + path or "/", scope.get("endpoint"))

    def _behind(self, app: object, scope: Scope, prefix: str) -> _Place | None:
        """What shows no routes answers by itself, as static files do, unless it led to a further app that has routes."""
        if app is None:
            return None
        inner = self._left.get("app")
        routes = getattr(inner, "routes", None)
        if isinstance(routes, list) and not any(routes is asked for asked in self._asked):
            place = self.ask(inner, scope, prefix)
            if place is not None:
                return place
        return _Place(prefix or "/", app)

    def _frontend(self, scope: Scope, prefix: str) -> _Place | None:
        """The place of static files that FastAPI serves where no route matches; it shows no routes for them."""
        rest = (self._left.get("fastapi") or {}).get("frontend_path")
        path = scope["path"].removeprefix(scope["root_path"])
        if not isinstance(rest, str) or not path.endswith(rest):
            return None
        return _Place(prefix + path.removesuffix(rest).rstrip("/") or "/", None)


def _router(app: object) -> Any:
    """What has the routes, inside an app and the middleware around it; None where nothing shows any."""
    for _ in range(_DEEPEST):
        if isinstance(getattr(app, "routes", None), list):
            return app
        app = getattr(app, "app", None)
    return None


def _paths(scope: Scope, router: Any) -> Iterator[str]:
    """The path, then the one that the router would redirect to: such an answer belongs to the route it points at."""
    path: str = scope["path"]
    yield path
    if scope["type"] == "http" and getattr(getattr(router, "router", router), "redirect_slashes", False):
        yield path.rstrip("/") if path.endswith("/") else f"{path}/"


def _best_match(routes: Iterable[Any], scope: Scope) -> tuple[Any, Scope] | None:
    """The route that a router takes, and what it adds to the scope: the first full match, else the first partial one."""
    partial = None
    for route in _shown(routes):
        match, added = route.matches(scope)
        if match is Match.FULL:
            return route, added
        if match is Match.PARTIAL and partial is None:
            partial = route, added
    return partial


def _shown(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes, and in the place of a router that FastAPI includes, its own with the prefix of the inclusion."""
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)  # from 0.137 on; before, they are copied one by one
        if included is None:
            yield route
        else:
            for context in included():
                yield context.starlette_route or context
