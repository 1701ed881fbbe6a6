from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home

from registry import apikeys, changes, log
from registry.db import read, write
from registry.errors import ConstraintBroken, KeyRefused, NotFound, OptOutInvalid, RefusedBecause
from registry.tables import api_key

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
LATER = "2026-01-31T12:00:01Z"


def refused(home: Home, secret: str | None, now: str = NOW, scope: str | None = None) -> KeyRefused:
    with pytest.raises(KeyRefused) as told:
        apikeys.authenticate(home.engine, secret, now, scope=scope)
    return told.value


def test_a_key_opens_the_door_and_its_secret_is_kept_nowhere(home: Home) -> None:
    key, secret = apikeys.create(home.engine, "studio", "laptop", ["verify", "create"], now=NOW)
    assert apikeys.authenticate(home.engine, secret, NOW, scope="create") == key
    assert apikeys.get(home.engine, key.id) == key
    assert key.scopes == ("create", "verify")
    assert secret.startswith(f"cmk_{key.id}_")
    with read(home.engine) as conn:
        (row,) = conn.execute(api_key.select())
        assert log.head(conn) == 0
    assert not any(secret[-43:] in str(value) for value in row)


def test_why_a_key_is_refused(home: Home) -> None:
    key, secret = apikeys.create(home.engine, "studio", "laptop", ["verify"], expires_at=LATER, now=NOW)
    _, other = apikeys.create(home.engine, "studio", "other", ["verify"], now=NOW)
    crossed = secret[:41] + other[41:]  # the id of one, the secret of another
    assert {refused(home, text).because for text in (None, "")} == {RefusedBecause.MISSING}
    for text in (
        "x",
        "cmk_",
        f"{secret} ",
        f" {secret}",
        secret.upper(),
        secret + "\n",
        "é" * 84,
        "x" * 10**6,
    ):
        assert refused(home, text).because is RefusedBecause.MALFORMED
    unknown = "cmk_00000000-0000-7000-8000-000000000000_" + "a" * 43
    for text in (crossed, secret[:-1] + ("a" if secret[-1] != "a" else "b"), unknown):
        assert refused(home, text).because is RefusedBecause.UNKNOWN
    assert refused(home, secret, LATER).because is RefusedBecause.EXPIRED
    scope = refused(home, secret, scope="admin")
    assert (scope.because, scope.http_status) == (RefusedBecause.SCOPE, 403)
    apikeys.revoke(home.engine, key.id, why={}, **BY)
    gone = refused(home, secret)
    assert (gone.because, gone.http_status, gone.code) == (RefusedBecause.REVOKED, 401, "key_refused")
    assert secret not in str(gone)


def test_revoking_is_a_change_of_the_registry(home: Home) -> None:
    key, _ = apikeys.create(home.engine, "studio", "laptop", ["verify"], now=NOW)
    gone = apikeys.revoke(home.engine, key.id, why={"leaked": True}, **BY)
    assert (gone.revoked_at, gone.revoked_seq) == (NOW, 1)
    assert apikeys.revoke(home.engine, key.id, why={}, **BY) == gone
    with read(home.engine) as conn:
        (change,) = changes.load(conn, 0, 9)
    assert (change.kind, change.revoked_key, change.subject) == ("key", key.id, None)
    assert b"studio" not in change.entry.entry
    with pytest.raises(NotFound):
        apikeys.revoke(home.engine, "nobody", why={}, **BY)


def test_what_cannot_be_a_key(home: Home) -> None:
    for scopes in ([], ["root"], ["create", "root"]):
        with pytest.raises(OptOutInvalid, match="scopes"):
            apikeys.create(home.engine, "studio", "laptop", scopes, now=NOW)
    for account, name in (("", "laptop"), ("studio", ""), ("a\x00", "b")):
        with pytest.raises(OptOutInvalid):
            apikeys.create(home.engine, account, name, ["create"], now=NOW)
    with pytest.raises(OptOutInvalid, match="end"):
        apikeys.create(home.engine, "studio", "laptop", ["create"], expires_at=NOW, now=NOW)


def test_pages_of_keys(home: Home) -> None:
    made = [apikeys.create(home.engine, f"a{n % 2}", "k", ["create"], now=NOW)[0] for n in range(4)]
    in_order = sorted(made, key=lambda key: key.id)
    page = apikeys.list_keys(home.engine, limit=3)
    assert page == in_order[:3]
    assert apikeys.list_keys(home.engine, after=page[-1].id) == in_order[3:]
    assert {key.account for key in apikeys.list_keys(home.engine, account="a1")} == {"a1"}


def test_a_testers_key_ends_and_does_nothing_that_lasts(home: Home) -> None:
    make = lambda *scopes, **ends: apikeys.create(home.engine, "red team", "try", scopes, now=NOW, **ends)  # noqa: E731
    key, _ = make("tester", "create", expires_at=LATER)
    assert key.tester
    assert not make("create")[0].tester
    for scopes, ends in (
        (("tester", "create"), None),
        (("tester",), LATER),
        (("tester", "create", "optout"), LATER),
        (("tester", "create", "admin"), LATER),
        (("tester", "create"), "2027-01-01T00:00:00Z"),
    ):
        with pytest.raises(OptOutInvalid, match="A tester's key has"):
            make(*scopes, expires_at=ends)


def test_the_database_knows_no_other_testers(home: Home) -> None:
    key, _ = apikeys.create(home.engine, "a", "b", ["create"], now=NOW)
    with read(home.engine) as conn:
        row = dict(conn.execute(api_key.select().where(api_key.c.id == key.id)).mappings().one())
    for changed in (
        {"expires_at": None, "scopes": ["create", "tester"]},
        {"expires_at": LATER, "scopes": ["optout", "tester"]},
    ):
        refused_row = pytest.raises(ConstraintBroken, match="the key of a tester has an end")
        with refused_row, write(home.engine) as conn:
            conn.execute(api_key.insert().values(**row | changed | {"id": "x", "secret_sha256": "y"}))


def test_nothing_that_a_tester_asks_for_is_released(home: Home) -> None:
    key, _ = apikeys.create(home.engine, "a", "b", ["create", "tester"], expires_at=LATER, now=NOW)
    other, _ = apikeys.create(home.engine, "a", "b", ["create"], now=NOW)
    with pytest.raises(ConstraintBroken, match="a tester asked for it"):
        home.release(facts={"prompt": "x", "policy": "p", "key": key.id})
    assert home.release(facts={"prompt": "x", "policy": "p", "key": other.id}).state == "released"
