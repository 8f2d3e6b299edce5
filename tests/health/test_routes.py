"""What a probe, an operator and a stranger get over HTTP."""

import asyncio
import threading
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from otel_tutor.errors import ConfigurationError
from otel_tutor.health import HealthCheck, HealthService, HealthStatus, SyncHealthCheck, health_routes

STRANGER = ("203.0.113.9", 50000)
TOKEN = {"Authorization": "Bearer s3cret"}


class Failing(HealthCheck):
    async def check(self) -> dict[str, Any]:
        raise ConnectionError("/srv/tutor/students.db: locked by ada@example.org")


class Answering(HealthCheck):
    async def check(self) -> dict[str, Any]:
        details = {"path": "/srv/tutor/\udcff.db", "ratio": float("nan"), "loop": {}, "errors": ({ValueError("ada")}, 1)}
        details["loop"] = details
        return {"status": HealthStatus.HEALTHY, "message": "read", "details": details}


class Hanging(SyncHealthCheck):
    """Hangs until it is released."""

    released = threading.Event()

    def check_sync(self) -> dict[str, Any]:
        self.released.wait()
        return {"status": HealthStatus.HEALTHY}


def make_app(*checks: HealthCheck, **options: Any) -> Starlette:
    service = HealthService()
    for check in checks:
        service.register(check)
    app = Starlette()
    app.router.routes.extend(health_routes(service, **options))
    return app


def test_a_healthy_service_answers_200_everywhere() -> None:
    client = TestClient(make_app(Answering("answering")), client=STRANGER)
    health, ready, live = (client.get(path) for path in ("/health", "/health/ready", "/health/live"))

    assert {response.status_code for response in (health, ready, live)} == {200}
    assert (health.json()["status"], ready.json()["ready"], live.json()["alive"]) == ("healthy", True, True)
    assert {response.headers["content-type"] for response in (health, ready, live)} == {"application/json"}
    assert {response.headers["cache-control"] for response in (health, ready, live)} == {"no-store"}


def test_a_degraded_service_still_answers_200() -> None:
    client = TestClient(make_app(Failing("failing", critical=False)))

    assert (client.get("/health").status_code, client.get("/health").json()["status"]) == (200, "degraded")
    assert client.get("/health/ready").status_code == 200


def test_an_unhealthy_service_answers_503_and_stays_alive() -> None:
    client = TestClient(make_app(Failing("failing")))

    assert client.get("/health").status_code == 503
    assert (client.get("/health/ready").status_code, client.get("/health/ready").json()["ready"]) == (503, False)
    assert client.get("/health/live").status_code == 200


def test_head_answers_as_get_does_and_nothing_else_is_allowed() -> None:
    client = TestClient(make_app(Failing("failing")))

    assert [client.head(path).status_code for path in ("/health", "/health/ready", "/health/live")] == [503, 503, 200]
    assert client.post("/health").status_code == 405


@pytest.mark.parametrize("host", ["203.0.113.9", "10.0.0.7", "::ffff:10.0.0.7", "testclient", "localhost.example.org"])
def test_a_client_elsewhere_sees_no_details(host: str) -> None:
    body = TestClient(make_app(Failing("failing")), client=(host, 50000)).get("/health").json()

    assert body["checks"] == {"failing": {"status": "unhealthy", "critical": True}}
    assert (body["service"], body["version"]) == ("tutor", None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_client_on_this_machine_sees_details(host: str) -> None:
    body = TestClient(make_app(Failing("failing")), client=(host, 50000)).get("/health").json()

    assert body["checks"]["failing"]["error"] == "ConnectionError"
    assert body["version"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_client_behind_a_proxy_on_this_machine_is_elsewhere(header: str) -> None:
    client = TestClient(make_app(Failing("failing")), client=("127.0.0.1", 50000))

    assert "ConnectionError" not in client.get("/health", headers={header: "127.0.0.1"}).text


def test_the_machine_itself_can_be_made_to_show_a_token() -> None:
    client = TestClient(make_app(Failing("failing"), token="s3cret", loopback=False), client=("127.0.0.1", 50000))

    assert "ConnectionError" not in client.get("/health").text
    assert "ConnectionError" in client.get("/health", headers=TOKEN).text


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Bearer s3cret", True),
        ("bearer  s3cret", True),
        ("Bearer S3cret", False),
        ("Bearer ", False),
        ("Basic s3cret", False),
        ("s3cret", False),
        (b"Bearer \xff\xfe", False),
    ],
)
def test_the_token_and_only_the_token_opens_the_details(header: str | bytes, shown: bool) -> None:
    client = TestClient(make_app(Failing("failing"), token="s3cret\n"), client=STRANGER)
    response = client.get("/health", headers={b"Authorization": header if isinstance(header, bytes) else header.encode()})

    assert response.status_code == 503
    assert ("ConnectionError" in response.text) is shown


def test_without_a_token_no_header_opens_the_details() -> None:
    client = TestClient(make_app(Failing("failing")), client=STRANGER)

    assert "ConnectionError" not in client.get("/health", headers={"Authorization": "Bearer None"}).text


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="token is empty"):
        health_routes(token=" ")


@pytest.mark.parametrize("client", [STRANGER, ("127.0.0.1", 50000)])
def test_the_text_of_an_exception_is_in_no_body(client: tuple[str, int]) -> None:
    app = make_app(Failing("failing"), Failing("other", critical=False))
    bodies = [TestClient(app, client=client).get(path).text for path in ("/health", "/health/ready", "/health/live")]

    assert not [body for body in bodies if "ada@example.org" in body or "students.db" in body]


def test_details_that_are_no_json_are_still_shown() -> None:
    response = TestClient(make_app(Answering("answering")), client=("127.0.0.1", 50000)).get("/health")

    details = response.json()["checks"]["answering"]["details"]
    assert (response.status_code, details["ratio"], details["errors"]) == (200, "nan", [["ValueError"], 1])
    assert details["path"].startswith("/srv/tutor/")


def test_a_check_that_hangs_leaves_a_hundred_probes_answered_while_it_hangs() -> None:
    hanging = Hanging("hanging", timeout=0.05)

    async def probe(client: httpx2.AsyncClient, number: int) -> int:
        return (await client.get(("/health", "/health/ready")[number % 2])).status_code

    async def probe_all() -> list[int]:
        transport = httpx2.ASGITransport(app=make_app(hanging))
        async with httpx2.AsyncClient(transport=transport, base_url="http://tutor") as client:
            return await asyncio.gather(*(probe(client, number) for number in range(100)))

    try:
        assert set(asyncio.run(probe_all())) == {503}
        assert [thread.name for thread in threading.enumerate()].count("health-hanging") == 1  # it still hangs
    finally:
        hanging.released.set()


def test_a_fastapi_app_serves_the_routes_outside_its_schema() -> None:
    app = FastAPI()
    app.router.routes.extend(health_routes(HealthService()))
    client = TestClient(app)

    assert client.get("/health/ready").json()["ready"] is True
    assert client.get("/openapi.json").json()["paths"] == {}


def test_the_routes_can_be_mounted_below_a_path() -> None:
    client = TestClient(Starlette(routes=[Mount("/internal", routes=health_routes(HealthService()))]))

    assert client.get("/internal/health/live").status_code == 200
    assert client.get("/health/live").status_code == 404
