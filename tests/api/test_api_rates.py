"""How often somebody may ask: by key, by address, by class; and a key that too many addresses use."""

from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from pipeline.api.rates import Addresses, by_key, class_of
from pipeline.api.service import ROUTERS
from pipeline.api.state import caller_with, optional_caller
from pipeline.clock import clock
from registry import apikeys, suspensions
from registry.errors import KeyRefused, NotFound
from registry.ids import new_id

FEW = {"rate_reads": 3, "rate_writes": 2, "rate_moderation": 2, "rate_uploads": 1}


def ask(served: Any, headers: dict[str, str]) -> Any:
    return served.client.post("/v1/moderate/prompt", json={"prompt": "a fox"}, headers=headers)


def test_a_key_asks_so_often_and_no_more(serve: Any) -> None:
    served = serve(**FEW)
    mine, other = served.key(), served.key("other")
    first = ask(served, mine)
    assert first.status_code == 200
    assert first.headers["ratelimit-policy"] == '"moderation";q=2;w=60'
    assert first.headers["ratelimit"].startswith('"moderation";r=1;t=')
    assert ask(served, mine).status_code == 200
    over = ask(served, mine)
    assert (over.status_code, over.json()["code"]) == (429, "asked_too_often")
    assert over.headers["content-type"] == "application/problem+json"
    assert 0 < int(over.headers["retry-after"]) <= 60
    assert over.headers["ratelimit"].startswith('"moderation";r=0;t=')
    assert ask(served, other).status_code == 200  # another key has its own
    job = f"/v1/generations/{new_id(clock())}"
    assert served.client.get(job, headers=mine).status_code == 404  # and another class, too


def test_an_address_without_a_key_does_as_well(serve: Any) -> None:
    served = serve(**FEW)
    answers = [served.client.get("/v1/log").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    # A word that is no key makes nobody somebody else.
    assert served.client.get("/v1/log", headers={"Authorization": "Bearer x"}).status_code == 429
    assert served.client.get("/healthz").status_code == 200
    wrong = {"Authorization": "Bearer nonsense"}
    assert [ask(served, wrong).status_code for _ in range(3)] == [401, 401, 429]
    assert ask(served, served.key()).status_code == 200  # who has a key is not stopped by that


def test_none_where_nobody_wants_one(serve: Any) -> None:
    served = serve(rate_reads=0)
    answer = served.client.get("/v1/log")
    assert "ratelimit" not in answer.headers


def test_who_is_on_this_machine_is_not_counted(serve: Any) -> None:
    served = serve(rate_reads=1)
    near = TestClient(served.client.app, client=("127.0.0.1", 5))
    assert [near.get("/v1/log").status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/optouts/x", "reads"),
        ("HEAD", "/", "reads"),
        ("POST", "/v1/optouts", "uploads"),
        ("POST", "/v1/guard", "uploads"),
        ("POST", "/v1/moderate/prompt", "moderation"),
        ("POST", "/v1/generations", "writes"),
    ],
)
def test_classes(method: str, path: str, name: str) -> None:
    assert class_of(method, path) == name


def asks_for_a_key(told: Any) -> bool:
    """Whether a route, or what it depends on, admits callers by their key."""
    ours = {caller_with().__qualname__, optional_caller().__qualname__}
    return getattr(told.call, "__qualname__", "") in ours or any(map(asks_for_a_key, told.dependencies))


def test_every_route_without_a_key_is_known_to_be_open() -> None:
    """Else somebody could ask it as often as they like, with a header that nobody reads."""
    routes = [one for router in ROUTERS for one in router.routes if isinstance(one, APIRoute)]
    ways = [(way, one) for one in routes for way in one.methods]
    free = [(way, one.path) for way, one in ways if not asks_for_a_key(one.dependant)]
    assert {("POST", "/v1/matches/byReference"), ("OPTIONS", "/v1/matches/{kind}")} <= {*free}
    assert [told for told in free if by_key(*told, has_key=True)] == []
    keyed = [(way, one.path) for way, one in ways if asks_for_a_key(one.dependant)]
    assert [told for told in keyed if told[1].startswith("/v1/") and not by_key(*told, has_key=True)] == []


def test_a_header_that_nobody_reads_frees_nobody(serve: Any) -> None:
    served = serve(rate_reads=2, rate_writes=2)
    word = {"Authorization": "Bearer x"}
    for way, path in (("OPTIONS", "/v1/matches/byContent"), ("POST", "/v1/matches/byReference")):
        answers = [served.client.request(way, path, headers=word).status_code for _ in range(3)]
        assert (answers[0] != 429, answers[2]) == (True, 429), path


def test_a_key_that_many_addresses_use_is_suspended(serve: Any) -> None:
    served = serve(key_addresses=2)
    headers = served.key("leaky")
    clients = [TestClient(served.client.app, client=(f"192.0.2.{n}", 5)) for n in range(1, 5)]

    def read(client: Any) -> Any:
        return client.get(f"/v1/generations/{new_id(clock())}", headers=headers)

    assert [read(client).status_code for client in (*clients[:2], clients[0])] == [404] * 3
    over = read(clients[2])
    assert (over.status_code, over.json()["because"]) == (401, "suspended")
    assert read(clients[0]).json()["because"] == "suspended"
    engine, signer = served.service.app.engine, served.service.app.signer
    [key] = apikeys.list_keys(engine, account="leaky")
    assert key.suspended_at is not None
    reader = served.key("leaky", "create")
    [told] = served.client.get("/v1/decisions", headers=reader).json()["decisions"]
    assert (told["kind"], told["appeal"]) == ("suspension", None)
    assert told["statement"]["decision_account"] == "DECISION_ACCOUNT_SUSPENDED"
    assert told["statement"]["content_type_other"] == "an account"
    numbers = served.client.get("/metrics", headers=served.key("ops", "metrics")).text
    assert 'countermark_waiting{what="suspended keys"} 1.0' in numbers
    back = suspensions.resume(engine, key.id, why={"why": "ours"}, now=clock(), sign_checkpoint=signer)
    assert back.suspended_at is None
    assert read(clients[3]).status_code == 404  # counted anew
    with pytest.raises(NotFound):
        suspensions.resume(engine, key.id, why={}, now=clock(), sign_checkpoint=signer)
    [told] = served.client.get("/v1/decisions", headers=reader).json()["decisions"]
    assert told["statement"]["end_date_account_restriction"] == told["ended_at"][:10]


def test_suspending_twice_is_once_and_ends_sessions(served: Any) -> None:
    engine, signer = served.service.app.engine, served.service.app.signer
    made, _ = apikeys.create(engine, "twice", "twice", ("review",), now=clock())
    first = suspensions.suspend(engine, made.id, 40, now=clock(), sign_checkpoint=signer)
    again = suspensions.suspend(engine, made.id, 50, now=clock(), sign_checkpoint=signer)
    assert first.suspended_at == again.suspended_at
    with pytest.raises(KeyRefused):
        apikeys.demand_good(apikeys.get(engine, made.id), clock())


def test_addresses_are_forgotten_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((0.0, 10.0, 3700.0, 3701.0))
    monkeypatch.setattr("pipeline.api.rates.time.monotonic", lambda: next(times))
    seen = Addresses(2)
    assert [seen.note("k", address) for address in "abcd"] == [0, 0, 0, 0]
