"""Raw SQL against the tables of opt-outs and keys: what is in force is neither changed nor dated back."""

from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home, picture, raw, vector

from registry import apikeys, log, optouts, rules
from registry.db import write
from registry.errors import ConstraintBroken
from registry.subject_types import SubjectRecord

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
ID = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def subject(home: Home) -> str:
    """One of everything: subject, name, picture, vectors, rule, licence, key; and a foreign log entry."""
    shown = vector(kind="picture", reference=picture(1).sha256)
    made = home.opt_out(references=(picture(1),), vectors=(shown, vector(1)), description="red")
    rules.grant_licence(home.engine, made.subject, "studio", **BY)
    apikeys.create(home.engine, "studio", "laptop", ["create"], now=NOW)
    home.opt_out("another")
    return made.subject


def everything(home: Home, subject: str) -> tuple[SubjectRecord | None, list[apikeys.ApiKey]]:
    return optouts.get(home.engine, subject), apikeys.list_keys(home.engine)


def refused(home: Home, statement: str, values: tuple[Any, ...] = (), entry: Any = None) -> None:
    """Expect that the statement is refused; after `entry` (kind, public) its seq is the first value."""

    def attempt() -> None:
        with write(home.engine) as conn:
            seq = () if entry is None else (log.append(conn, *entry, None, NOW).seq,)
            raw(conn, statement, (*seq, *values))

    with pytest.raises(ConstraintBroken):
        attempt()


TABLES = {
    "party": "id, name, normal, created_at",
    "subject": "id, party_id, kind, name, normal, mode, description, attributes, exclusions, state, log_seq, "
    "changed_seq",
    "name": "id, subject_id, text, normal, tier, context, kind, language, log_seq",
    "reference": "id, subject_id, sha256, polarity, width, height, name, log_seq",
    "embedding": "id, subject_id, reference_sha256, space, kind, polarity, dimension, vector, log_seq",
    "rule": "id, subject_id, effect, account, valid_from, valid_until, priority, licence, log_seq",
    "api_key": "id, account, name, secret_sha256, scopes, created_at, expires_at",
    "space": "id, dimension, created_at",
}


@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_rewritten_deleted_or_replaced(home: Home, subject: str, table: str) -> None:
    before = everything(home, subject)
    statements = [f"DELETE FROM {table}", f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"]
    for column in TABLES[table].split(", "):
        statements += [f"{verb} {table} SET {column} = {column}" for verb in ("UPDATE", "UPDATE OR REPLACE")]
    for statement in statements:
        refused(home, statement)
    assert everything(home, subject) == before


@pytest.mark.parametrize("table", ["name", "reference", "embedding", "rule"])
def test_what_is_in_force_goes_only_with_a_log_entry(home: Home, subject: str, table: str) -> None:
    """The head of the log is about another subject, so neither it nor an old entry will do."""
    columns = ", ".join(c for c in TABLES[table].split(", ") if c not in ("id", "log_seq"))
    named, key = ("id, ", f"'{ID}', ") if table == "rule" else ("", "")
    for seq in (1, 2, 3, 99):
        refused(home, f"UPDATE {table} SET removed_seq = {seq} WHERE subject_id = ?", (subject,))
        again = f"SELECT {key}{columns}, {seq} FROM {table} WHERE subject_id = ?"
        refused(home, f"INSERT INTO {table} ({named}{columns}, log_seq) {again}", (subject,))


def test_a_removed_row_stays_removed(home: Home, subject: str) -> None:
    optouts.withdraw(home.engine, subject, why={}, **BY)
    for table in ("name", "reference", "rule"):
        refused(home, f"UPDATE {table} SET removed_seq = NULL WHERE subject_id = ?", (subject,))


@pytest.mark.parametrize(
    ("kind", "public"),
    [
        ("rule", {"subject": ID}),
        ("release", {"subject": "SUBJECT"}),
        ("withdrawal", {"subject": "SUBJECT"}),
        ("opt-out", {"subject": "SUBJECT", "action": "add"}),
    ],
)
def test_a_subject_is_not_withdrawn_by_another_entry(
    home: Home, subject: str, kind: str, public: dict[str, Any]
) -> None:
    public = {key: subject if value == "SUBJECT" else value for key, value in public.items()}
    gone = "UPDATE subject SET changed_seq = ?, state = 'withdrawn' WHERE id = ?"
    refused(home, gone, (subject,), (kind, public))
    refused(home, "UPDATE subject SET state = 'withdrawn' WHERE id = ?", (subject,))


def test_a_key_is_revoked_by_its_own_log_entry_only(home: Home, subject: str) -> None:
    (key,) = apikeys.list_keys(home.engine)
    for public in ({"key": ID}, {}):
        refused(home, "UPDATE api_key SET revoked_seq = ?, revoked_at = ?", (NOW,), ("key", public))
    apikeys.revoke(home.engine, key.id, why={}, **BY)
    refused(home, "UPDATE api_key SET revoked_at = NULL, revoked_seq = NULL")


def test_a_vector_needs_its_picture_and_its_space(home: Home) -> None:
    subject = home.opt_out(vectors=(vector(),)).subject
    columns = "subject_id, reference_sha256, space, kind, polarity, dimension, vector, log_seq"
    good = (subject, "", "space", "description", 1, 8, b"\x01" * 16, 1)
    wrong: list[tuple[int, Any]] = [
        (1, "a" * 64), (2, "other"), (3, "picture"), (4, 0), (5, 9), (6, b"\x01" * 15), (7, 0), (0, ID),
    ]  # fmt: skip
    statement = f"INSERT INTO embedding ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    for place, value in wrong:
        row = tuple(value if index == place else part for index, part in enumerate(good))
        refused(home, statement, row)
    with write(home.engine) as conn:
        raw(conn, statement, good)
