"""Links work once and for a quarter of an hour; a session is as good as its key."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from registry_builders import NOW, SIGNER, Home

from registry import apikeys, sessions
from registry.db import read, write
from registry.errors import ConstraintBroken, KeyRefused, RefusedBecause
from registry.tables_sessions import sign_in_link, web_session

SOON, LATE = "2026-01-31T12:14:59Z", "2026-01-31T12:15:00Z"
EVENING, NIGHT = "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z"
WEEKS = "2026-03-01T12:00:00Z"


def key(home: Home, expires_at: str | None = None) -> str:
    made, _ = apikeys.create(home.engine, "safety", "Ada", ("review",), expires_at=expires_at, now=NOW)
    return made.id


def test_a_link_works_once(home: Home) -> None:
    made = key(home)
    link = sessions.make_link(home.engine, made, NOW)
    assert sessions.whose_link(home.engine, link, SOON).name == "Ada"
    session = sessions.sign_in(home.engine, link, SOON)
    assert sessions.key_of(home.engine, session, EVENING).id == made
    for again in (sessions.sign_in, sessions.whose_link):
        with pytest.raises(KeyRefused, match="was used"):
            again(home.engine, link, SOON)
    assert session not in (link, made)


@pytest.mark.parametrize("wrong", ["", "x", "x" * 43, "é" * 43, "x" * 5000])
def test_what_is_no_secret(home: Home, wrong: str) -> None:
    for ask in (sessions.sign_in, sessions.whose_link, sessions.key_of):
        with pytest.raises(KeyRefused):
            ask(home.engine, wrong, NOW)
    sessions.sign_out(home.engine, wrong, NOW)


def test_what_is_no_link_waits_for_no_writer(home: Home) -> None:
    """Anybody may try a link; the lock of all writers is not theirs to wait for."""
    with write(home.engine), ThreadPoolExecutor(1) as pool:
        for wrong in ("x", "x" * 43):
            with pytest.raises(KeyRefused):
                pool.submit(sessions.sign_in, home.engine, wrong, NOW).result(10)


def test_secrets_are_not_for_each_other(home: Home) -> None:
    link = sessions.make_link(home.engine, key(home), NOW)
    with pytest.raises(KeyRefused):
        sessions.key_of(home.engine, link, NOW)
    session = sessions.sign_in(home.engine, link, NOW)
    with pytest.raises(KeyRefused):
        sessions.sign_in(home.engine, session, NOW)


def test_both_end_by_themselves(home: Home) -> None:
    made = key(home)
    old = sessions.make_link(home.engine, made, NOW)
    with pytest.raises(KeyRefused, match="too old"):
        sessions.sign_in(home.engine, old, LATE)
    session = sessions.sign_in(home.engine, sessions.make_link(home.engine, made, NOW), NOW)
    with pytest.raises(KeyRefused, match="any more"):
        sessions.key_of(home.engine, session, NIGHT)


def test_who_signs_out_is_out(home: Home) -> None:
    made = key(home)
    one, other = (
        sessions.sign_in(home.engine, sessions.make_link(home.engine, made, NOW), NOW) for _ in range(2)
    )
    sessions.sign_out(home.engine, one, NOW)
    sessions.sign_out(home.engine, one, NOW)
    with pytest.raises(KeyRefused):
        sessions.key_of(home.engine, one, NOW)
    assert sessions.key_of(home.engine, other, NOW).id == made


def test_a_revoked_key_ends_links_and_sessions(home: Home) -> None:
    made = key(home)
    link = sessions.make_link(home.engine, made, NOW)
    session = sessions.sign_in(home.engine, sessions.make_link(home.engine, made, NOW), NOW)
    apikeys.revoke(home.engine, made, why={}, now=NOW, sign_checkpoint=SIGNER)
    for act in (
        lambda: sessions.key_of(home.engine, session, NOW),
        lambda: sessions.sign_in(home.engine, link, NOW),
        lambda: sessions.make_link(home.engine, made, NOW),
    ):
        with pytest.raises(KeyRefused) as refused:
            act()
        assert refused.value.because is RefusedBecause.REVOKED


def test_a_key_at_its_end_ends_its_sessions(home: Home) -> None:
    made = key(home, expires_at=SOON)
    session = sessions.sign_in(home.engine, sessions.make_link(home.engine, made, NOW), NOW)
    with pytest.raises(KeyRefused) as refused:
        sessions.key_of(home.engine, session, LATE)
    assert refused.value.because is RefusedBecause.EXPIRED
    with pytest.raises(KeyRefused):
        sessions.make_link(home.engine, "0" * 36, NOW)


def test_old_ones_are_forgotten_and_no_secret_is_kept(home: Home) -> None:
    made = key(home)
    link = sessions.make_link(home.engine, made, NOW)
    session = sessions.sign_in(home.engine, link, NOW)
    with read(home.engine) as conn:
        rows = [*conn.execute(sign_in_link.select()), *conn.execute(web_session.select())]
    assert len(rows) == 2
    assert not any(secret in map(str, row) for row in rows for secret in (link, session))
    sessions.make_link(home.engine, made, WEEKS)
    with read(home.engine) as conn:
        assert len(conn.execute(sign_in_link.select()).all()) == 1
        assert conn.execute(web_session.select()).all() == []


@pytest.mark.parametrize(
    ("message", "statement"),
    [
        ("works once", "UPDATE sign_in_link SET used_at = NULL"),
        ("never change", "UPDATE web_session SET until = '2036-01-31T12:00:00Z'"),
        ("ends once", "UPDATE web_session SET ended_at = NULL"),
    ],
)
def test_the_database_refuses_what_must_not_be(home: Home, message: str, statement: str) -> None:
    session = sessions.sign_in(home.engine, sessions.make_link(home.engine, key(home), NOW), NOW)
    sessions.sign_out(home.engine, session, NOW)
    with pytest.raises(ConstraintBroken, match=message), write(home.engine) as conn:
        conn.exec_driver_sql(statement)
