"""Under which template a request is counted, however its route came about, and which requests are a probe's."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi.routing
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.catalogue import ROUTE
from otel_tutor.health import HealthService, health_routes
from otel_tutor.instrumentation.route import Destination, probe, will_reach_probe
from otel_tutor.recording.instruments import OTHER
from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id

INCLUDES_MOUNTS = hasattr(fastapi.routing, "_IncludedRouter")  # of an included router: from 0.137 on

# New releases advise against it; old apps have it.
ROOT_PATH_OF_FASTAPI = pytest.mark.filterwarnings("ignore:The `root_path` parameter")


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.path_params}")


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("plain")(scope, receive, send)


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


class Page(HTTPEndpoint):
    async def get(self, _: Request) -> Response:
        return PlainTextResponse("page")


def hidden(app: ASGIApp) -> ASGIApp:
    """An app behind a function, which shows no routes."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return serve


@pytest.fixture
def files(tmp_path: Path) -> StaticFiles:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "index.html").write_text("home")
    return StaticFiles(directory=tmp_path, html=True)


def make_routes(files: StaticFiles) -> list[BaseRoute]:
    things = [Route("/", hello), Route("/things/{thing}", hello), Mount("/files", files)]
    tenants = [Mount("/{place:int}", routes=things), Route("/{name}", hello)]
    return [
        Route("/hello/{name}", hello),
        Route("/number/{number:int}", hello),
        Route("/rest/{path:path}", hello),
        Route("/page", Page),
        Route("/app/{path:path}", Starlette(routes=[Route("/app/inner", hello)])),
        Route("/slash/", hello),
        Route("/post", hello, methods=["POST"]),
        Mount("/named/{tenant}", routes=things, name="named"),
        Mount("/t/{tenant}", routes=tenants),
        Mount("/static", files),
        Mount("/named-static", files, name="static"),
        Mount("/plain", plain),
        Mount("/wrapped", CORSMiddleware(Starlette(routes=things), allow_origins=["*"])),
        Mount("/around", Starlette(routes=things), middleware=[Middleware(CORSMiddleware, allow_origins=["*"])]),
        Mount("/hidden", hidden(Starlette(routes=things))),
        Host("api.example", Router(things)),
        Host("{school}.example", hidden(Starlette(routes=things))),
        Mount("/deep", routes=[Host("testserver", Router([Mount("/er", Router(things))]))]),
    ]


# What is asked for, and the template; the host is the client's own where none stands before the path.
PATHS = [
    ("/hello/ada", "/hello/{name}"),
    ("/number/7", "/number/{number}"),
    ("/number/seven", None),
    ("/rest/a/b/c", "/rest/{path}"),
    ("/page", "/page"),
    ("/app/inner", "/app/{path}"),
    ("/slash/", "/slash/"),
    ("/slash", "/slash/"),  # a redirect
    ("/post", "/post"),  # 405
    ("/named/acme/things/7", "/named/{tenant}/things/{thing}"),
    ("/named/things/things/things", "/named/{tenant}/things/{thing}"),
    ("/named/acme", "/named/{tenant}/"),  # a redirect
    ("/named/acme/files/a.txt", "/named/{tenant}/files"),
    ("/named/acme/nothing", None),
    ("/t/t/7/things/7", "/t/{tenant}/{place}/things/{thing}"),
    ("/t/7/files", "/t/{tenant}/{name}"),
    ("/static/a.txt", "/static"),
    ("/static/", "/static"),
    ("/static", "/static"),  # a redirect
    ("/static/missing.txt", "/static"),
    ("/named-static/a.txt", "/named-static"),
    ("/plain", "/plain"),  # a redirect
    ("/plain/any/thing", "/plain"),
    ("/wrapped/things/7", "/wrapped/things/{thing}"),
    ("/around/things/7", "/around/things/{thing}"),
    ("/around/files/a.txt", "/around/files"),
    ("/hidden/things/7", "/hidden/things/{thing}"),
    ("/hidden/nothing", "/hidden"),
    ("http://api.example/things/7", "/things/{thing}"),
    ("http://api.example/", "/"),
    ("http://a.example/things/7", "/things/{thing}"),
    ("/deep/er/things/7", "/deep/er/things/{thing}"),
    ("/wp-admin", None),
    ("/", None),
]


def templates(captured: Capture) -> list[str | None]:
    """The templates in the names of the servers' spans, and as labels of the durations."""
    names = [span.name.partition(" ")[2] or None for span in captured.spans if span.kind is SpanKind.SERVER]
    counted = [
        point.attributes.get("http.route")
        for point in captured.read_metrics().get("http.server.request.duration", [])
        for _ in range(point.count or 0)
    ]
    assert sorted(map(str, counted)) == sorted(map(str, names))
    return names


def ask(app: ASGIApp, path: str, **options: Any) -> int:
    return TestClient(app, **options).get(path, follow_redirects=False).status_code


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
@pytest.mark.parametrize(("path", "template"), PATHS)
def test_each_kind_of_route_has_its_template(
    captured: Capture, files: StaticFiles, framework: type[Starlette], path: str, template: str | None
) -> None:
    app = framework(routes=make_routes(files))
    otel_tutor.configure(app)
    ask(app, path)

    assert templates(captured) == [template]


@pytest.mark.parametrize("path", ["/things/7", "/files/a.txt", "/things/7/", "/nothing"])
@pytest.mark.parametrize("options", [{"root_path": "/api"}, {"root_path": "/a/b"}, {"root_path": "/things"}])
def test_the_prefix_of_a_proxy_is_no_part_of_a_template(
    captured: Capture, files: StaticFiles, path: str, options: dict[str, str]
) -> None:
    expected = {"/things/7": "/things/{thing}", "/files/a.txt": "/files", "/things/7/": "/things/{thing}", "/nothing": None}
    app = Starlette(routes=[Route("/things/{thing}", hello), Mount("/files", files)])
    otel_tutor.configure(app)
    ask(app, options["root_path"].rstrip("/") + path, **options)  # as uvicorn has it with --root-path
    ask(app, path, **options) if options["root_path"] != "/things" else ask(app, path)  # as a proxy has it that strips it

    assert templates(captured) == [expected[path]] * 2
    assert str(dict(captured.spans[0].attributes or {})["url.path"]).endswith(path)


@ROOT_PATH_OF_FASTAPI
def test_a_root_path_that_an_app_or_its_middleware_sets_is_no_part_of_a_template(captured: Capture) -> None:
    class Prefix:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            scope["root_path"] = "/proxy"
            await self.app(scope, receive, send)

    app, api = FastAPI(root_path="/api"), Starlette(routes=[Mount("/t", routes=[Route("/{name}", hello)])])
    app.add_api_route("/things/{thing}", lambda thing: thing)
    otel_tutor.configure(app)
    otel_tutor.configure(api)
    api.add_middleware(Prefix)
    assert [ask(app, "/api/things/7"), ask(app, "/things/7"), ask(api, "/proxy/t/ada"), ask(api, "/t/ada")] == [
        200,
        200,
        200,
        404,
    ]

    assert templates(captured) == ["/things/{thing}"] * 2 + ["/t/{name}", None]


def fastapi_app(files: StaticFiles) -> FastAPI:
    app, inner, router = FastAPI(), APIRouter(prefix="/inner"), APIRouter(prefix="/own", redirect_slashes=True)

    @inner.get("/things/{thing}")
    @router.get("/things/{thing}")
    @app.get("/things/{thing}")
    async def thing(thing: str) -> str:
        return thing

    @inner.websocket("/echo/{name}")
    @app.websocket("/echo/{name}")
    async def talk(socket: WebSocket, name: str) -> None:
        await echo(socket)

    router.add_api_route("", thing, methods=["POST"])
    router.add_api_route("/list/", lambda: "listed")
    inner.add_route("/plain/{name}", hello)
    inner.mount("/files", files)
    if INCLUDES_MOUNTS:
        inner.routes.append(Host("api.example", Router([Route("/hosted/{name}", hello)])))
    router.include_router(inner, prefix="/included")
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2/{tenant}")
    app.include_router(inner)
    app.add_route("/plain/{name}", hello)
    app.mount("/files", files)
    return app


FASTAPI_PATHS = [
    ("/things/7", "/things/{thing}"),
    ("/docs", "/docs"),
    ("/redoc", "/redoc"),
    ("/openapi.json", "/openapi.json"),
    ("/docs/oauth2-redirect", "/docs/oauth2-redirect"),
    ("/v1/own/things/7", "/v1/own/things/{thing}"),
    ("/v2/acme/own/things/7", "/v2/{tenant}/own/things/{thing}"),
    ("/v1/own", "/v1/own"),  # 405
    ("/v1/own/list/", "/v1/own/list/"),
    ("/v1/own/list", "/v1/own/list/"),  # a redirect
    ("/v1/own/included/inner/things/7", "/v1/own/included/inner/things/{thing}"),
    ("/inner/things/7", "/inner/things/{thing}"),
    ("/v1/own/included/files/a.txt", "/v1/own/included/files"),
    ("/plain/ada", "/plain/{name}"),
    ("/files/a.txt", "/files"),
    ("/inner/nothing", None),
]


@pytest.mark.parametrize(("path", "template"), FASTAPI_PATHS)
@pytest.mark.parametrize("prefix", ["", "/sub"])
@pytest.mark.parametrize("outer", [Starlette, FastAPI])
def test_fastapis_routers_docs_and_mounts_have_their_templates(
    captured: Capture, files: StaticFiles, path: str, template: str | None, prefix: str, outer: type[Starlette]
) -> None:
    app = fastapi_app(files) if not prefix else outer(routes=[Mount(prefix, fastapi_app(files))])
    if path.endswith("/included/files/a.txt") and not INCLUDES_MOUNTS:
        template = None
    otel_tutor.configure(app)
    assert ask(app, prefix + path) != 404 or template is None

    assert templates(captured) == [template and prefix + template]


@pytest.mark.skipif(not INCLUDES_MOUNTS, reason="this FastAPI cannot include a host, nor a plain route below a prefix")
@pytest.mark.parametrize("prefix", ["", "/sub"])
@pytest.mark.parametrize("kind", ["plain", "hosted"])
def test_plain_routes_and_hosts_in_an_included_router_have_their_templates(
    captured: Capture, files: StaticFiles, kind: str, prefix: str
) -> None:
    app = fastapi_app(files) if not prefix else Starlette(routes=[Mount(prefix, fastapi_app(files))])
    otel_tutor.configure(app)
    path = f"{prefix}/v1/own/included/{kind}"
    assert ask(app, f"http://api.example{path}/ada") == 200

    assert templates(captured) == [f"{path}/{{name}}"]


@pytest.mark.skipif(not hasattr(FastAPI, "frontend"), reason="this FastAPI serves no frontend")
def test_a_frontend_of_fastapi_is_its_path(captured: Capture, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("home")
    (tmp_path / "a.js").write_text("1")
    app = FastAPI()
    app.add_api_route("/things/{thing}", lambda thing: thing)
    app.frontend("/app", directory=tmp_path)
    otel_tutor.configure(app)
    outer = Starlette(routes=[Mount("/sub", app)])
    otel_tutor.configure(outer)
    assert [ask(app, path) for path in ("/app/a.js", "/app/", "/things/7")] == [200] * 3
    assert ask(outer, "/sub/app/a.js") == 200

    assert templates(captured) == ["/app", "/app", "/things/{thing}", "/sub/app"]


def test_an_own_class_of_routes_keeps_its_template(captured: Capture) -> None:
    class Timed(APIRoute):
        pass

    router, app = APIRouter(route_class=Timed), FastAPI()
    router.add_api_route("/things/{thing}", lambda thing: thing)
    app.include_router(router, prefix="/v1")
    otel_tutor.configure(app)
    ask(app, "/v1/things/7")

    assert templates(captured) == ["/v1/things/{thing}"]


def test_an_own_kind_of_route_without_a_template_has_none(captured: Capture) -> None:
    class Anything(BaseRoute):
        def matches(self, _: Scope) -> tuple[Match, Scope]:
            return Match.FULL, {}

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await plain(scope, receive, send)

    app = Starlette(routes=[Anything()])
    otel_tutor.configure(app)
    assert ask(app, "/any/thing") == 200

    assert templates(captured) == [None]


def test_a_request_in_progress_is_counted_under_its_template_before_it_is_routed(captured: Capture) -> None:
    class Reader:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                active = captured.read_metrics()["http.server.active_requests"]
                seen.extend(point.attributes["http.route"] for point in active if point.value)
            await self.app(scope, receive, send)

    seen: list[str] = []
    app = Starlette(routes=[Mount("/t/{tenant}", routes=[Route("/{name}", hello)])])
    otel_tutor.configure(app)
    app.add_middleware(Reader)
    ask(app, "/t/acme/ada")

    assert seen == ["/t/{tenant}/{name}"]


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_routes_that_are_added_while_an_app_serves_are_found(captured: Capture, framework: type[Starlette]) -> None:
    app = framework()
    otel_tutor.configure(app)
    ask(app, "/late/7")
    app.router.routes.append(Route("/late/{number}", hello))
    ask(app, "/late/7")

    assert templates(captured) == [None, "/late/{number}"]


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_a_redirect_that_is_switched_off_is_no_route(captured: Capture, framework: type[Starlette]) -> None:
    app = framework(routes=[Route("/slash/", hello)])
    app.router.redirect_slashes = False
    otel_tutor.configure(app)

    assert (ask(app, "/slash"), templates(captured)) == (404, [None])


SOCKETS: dict[str, Callable[[], Starlette]] = {
    "/echo/ada": lambda: Starlette(routes=[WebSocketRoute("/echo/{name}", echo)]),
    "/t/acme/echo/ada": lambda: Starlette(routes=[Mount("/t/{tenant}", routes=[WebSocketRoute("/echo/{name}", echo)])]),
    "/sub/inner/echo/ada": lambda: Starlette(routes=[Mount("/sub", fastapi_app(StaticFiles(check_dir=False)))]),
    "/v1/own/included/inner/echo/ada": lambda: fastapi_app(StaticFiles(check_dir=False)),
    "/hidden/echo/ada": lambda: Starlette(
        routes=[Mount("/hidden", hidden(Starlette(routes=[WebSocketRoute("/echo/{name}", echo)])))]
    ),
}


@pytest.mark.parametrize("path", SOCKETS)
def test_a_websocket_has_its_template(captured: Capture, path: str) -> None:
    app = SOCKETS[path]()
    otel_tutor.configure(app)
    with TestClient(app).websocket_connect(path):
        pass

    template = path.replace("acme", "{tenant}").replace("ada", "{name}")
    assert [span.name for span in captured.spans if span.kind is SpanKind.SERVER] == [f"WEBSOCKET {template}"]


def test_routes_beyond_the_limit_share_a_label(captured: Capture) -> None:
    app = Starlette(routes=[Route(f"/generated/{number}", hello) for number in range(ROUTE.limit + 50)])
    scopes = [{"type": "http", "method": "GET", "path": f"/generated/{number}"} for number in range(ROUTE.limit + 50)]
    labels = {Destination(scope, app).label() for scope in scopes}

    assert len(labels) == ROUTE.limit + 1
    assert OTHER in labels


@pytest.mark.parametrize("scope", [{"type": "http"}, {"type": "http", "path": None, "method": None}, {}])
@pytest.mark.parametrize("app", [None, 7, Starlette(), functools.partial(plain), FastAPI()])
def test_what_cannot_be_looked_up_has_no_label(captured: Capture, scope: Scope, app: object) -> None:
    assert Destination(scope, app).label() is None
    assert not Destination(scope, app).is_probe()


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/internal/health", "GET", True),
        ("/internal/health", "POST", True),
        ("/internal/health/", "GET", False),
        ("/health", "GET", False),
        ("/internal/healthy", "GET", False),
    ],
)
def test_routes_are_asked_where_a_request_would_go(path: str, method: str, expected: bool) -> None:
    async def health(_: Request) -> Response:
        return PlainTextResponse("healthy")

    app = Starlette(routes=[Route("/health", hello), Mount("/internal", routes=[Route("/health", probe(health))])])
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}

    assert will_reach_probe(scope, app) is expected
    assert scope == {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}


def test_in_a_probe_there_is_no_trace(captured: Capture) -> None:
    seen: list[str | None] = []

    async def health(_: Request) -> Response:
        seen.append(get_current_trace_id())
        return PlainTextResponse("healthy")

    app = Starlette(routes=[Route("/health", probe(health))])
    otel_tutor.configure(app)
    TestClient(app).get("/health")

    assert seen == [None]


def probes() -> list[BaseRoute]:
    return [*health_routes(HealthService())]


def included_probes(prefix: str = "") -> FastAPI:
    app, router = FastAPI(), APIRouter()
    router.routes.extend(probes())
    app.include_router(router, prefix=prefix)
    return app


PROBED: dict[str, tuple[Callable[[], Starlette], str, dict[str, Any]]] = {
    "at the top": (lambda: Starlette(routes=probes()), "", {}),
    "below a root path": (lambda: Starlette(routes=probes()), "/api", {"root_path": "/api"}),
    "behind a proxy that strips": (lambda: Starlette(routes=probes()), "", {"root_path": "/api"}),
    "below a root path of FastAPI": (lambda: FastAPI(root_path="/api", routes=probes()), "/api", {}),
    "below a mount": (lambda: Starlette(routes=[Mount("/internal/{zone}", routes=probes())]), "/internal/a", {}),
    "below a mount and a root path": (
        lambda: Starlette(routes=[Mount("/internal", routes=probes())]),
        "/api/internal",
        {"root_path": "/api"},
    ),
    "in a mounted app": (lambda: Starlette(routes=[Mount("/internal", Starlette(routes=probes()))]), "/internal", {}),
    "in a mounted FastAPI": (lambda: Starlette(routes=[Mount("/internal", included_probes())]), "/internal", {}),
    "in a mounted app that shows no routes": (
        lambda: Starlette(routes=[Mount("/internal", hidden(Starlette(routes=probes())))]),
        "/internal",
        {},
    ),
    "in a mounted FastAPI that shows no routes": (
        lambda: FastAPI(routes=[Mount("/internal", hidden(included_probes()))]),
        "/internal",
        {},
    ),
    "below a host": (lambda: Starlette(routes=[Host("testserver", Router(probes()))]), "", {}),
    "below a host and a mount": (
        lambda: FastAPI(routes=[Mount("/a", routes=[Host("testserver", Router([Mount("/b", routes=probes())]))])]),
        "/a/b",
        {},
    ),
    "in a router of FastAPI": (included_probes, "", {}),
    "in a router of FastAPI with a prefix": (lambda: included_probes("/v1"), "/v1", {}),
}


@ROOT_PATH_OF_FASTAPI
@pytest.mark.parametrize("where", PROBED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_health_probes_are_neither_counted_nor_traced(captured: Capture, where: str, method: str) -> None:
    make, prefix, options = PROBED[where]
    app = make()
    otel_tutor.configure(app)
    for path in ("/health", "/health/ready", "/health/live"):
        assert TestClient(app, **options).request(method, prefix + path).status_code == (405 if method == "POST" else 200)

    assert captured.spans == []
    assert [name for name in captured.read_metrics() if name.startswith("http.server.request")] == []


def test_a_route_of_an_app_at_a_probes_path_is_counted_and_traced(captured: Capture) -> None:
    app = Starlette(routes=[Route("/health", hello), Mount("/internal", routes=probes())])
    otel_tutor.configure(app)
    TestClient(app).get("/health")
    TestClient(app).post("/health")
    TestClient(app).get("/nowhere/health")

    assert [span.name for span in captured.spans] == ["GET /health", "POST /health", "GET"]
    assert captured.value("http_requests_total", endpoint="/health", status="200") == 1


def test_a_route_that_cannot_be_asked_is_counted_all_the_same(captured: Capture) -> None:
    class Odd(Route):
        asked = 0

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("not yet")
            return super().matches(scope)

    app = Starlette(routes=[Odd("/my/health", hello)])
    otel_tutor.configure(app)
    assert TestClient(app).get("/my/health").status_code == 200

    assert [span.name for span in captured.spans] == ["GET /my/health"]
