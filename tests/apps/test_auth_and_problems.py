"""Keys and problem documents, on a FastAPI application without Ray."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from apps import problems
from apps.auth import key_hash, new_key, require_key
from apps.schemas import OrderBody
from gammaray.operations.errors import BadInput, MustHalt, RetryLater


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    problems.install(app)
    key = "gr_test"

    @app.get("/guarded")
    async def guarded(request: Request) -> str:
        require_key(request, frozenset({key_hash(key), key_hash("gr_other")}))
        return "in"

    errors = {
        "input": BadInput("qty", "must be positive"),
        "later": RetryLater("the desk actor is restarting"),
        "halt": MustHalt("books differ"),
        "bug": ZeroDivisionError("secret detail"),
    }

    @app.get("/raise/{kind}")
    async def fail(kind: str) -> None:
        raise errors[kind]

    @app.post("/order")
    async def order(body: OrderBody) -> str:
        return body.underlying

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer gr_test"}, 200),
        ({"authorization": "bearer gr_other"}, 200),
        ({"X-API-Key": "gr_test"}, 200),
        ({"Authorization": "Basic gr_test"}, 401),
        ({"X-API-Key": "gr_tes"}, 401),
    ],
)
def test_a_known_key_is_needed(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.get("/guarded", headers=headers).status_code == status


@pytest.mark.parametrize(("kind", "status"), [("input", 422), ("later", 503), ("halt", 409), ("bug", 500)])
def test_errors_become_problem_documents(client: TestClient, kind: str, status: int) -> None:
    response = client.get(f"/raise/{kind}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert "secret" not in response.text
    if kind == "input":
        assert response.json()["errors"] == [{"field": "qty", "problem": "must be positive"}]
    if kind == "later":
        assert response.headers["retry-after"] == "1"


def test_bodies_refuse_unknown_fields_and_floats_of_money(client: TestClient) -> None:
    body = {"legs": [{"symbol": "SPY180316C00280000", "side": "buy"}], "qty": 1, "limit_price": "1.05"}
    assert client.post("/order", json=body).json() == "SPY"
    for change, field in (
        ({"limit_price": 1.05}, "limit_price"),
        ({"limit_price": "NaN"}, "limit_price"),
        ({"qty": 1.5}, "qty"),
        ({"price": "1"}, "price"),
        ({"legs": [{"symbol": "SPY", "side": "hold"}]}, "legs.0.side"),
    ):
        errors = client.post("/order", json={**body, **change}).json()["errors"]
        assert [error["field"] for error in errors] == [field]


def test_keys_are_random_and_only_their_hash_is_stored() -> None:
    first, second = new_key(), new_key()
    assert first != second
    assert first not in key_hash(first)
