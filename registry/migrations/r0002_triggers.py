"""Triggers of migration r0002, in SQLite's dialect; frozen with it."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse

HEAD_OF_LOG: Final = "(SELECT max(seq) FROM log_entry)"

# What belongs to a subject is written right after the log entry that says so, and after the subject was
# moved to that entry: nobody can date a row back behind the publish fence.
_NOT_LOGGED: Final = (
    f"NOT EXISTS (SELECT 1 FROM subject s WHERE s.id = NEW.subject_id AND s.state = 'active' "  # noqa: S608
    f"AND s.changed_seq = NEW.log_seq AND NEW.log_seq = {HEAD_OF_LOG})"
)
_REMOVAL_NOT_LOGGED: Final = (
    f"OLD.removed_seq IS NOT NULL OR NOT EXISTS (SELECT 1 FROM subject s WHERE s.id = NEW.subject_id "  # noqa: S608
    f"AND s.changed_seq = NEW.removed_seq AND NEW.removed_seq = {HEAD_OF_LOG})"
)
_LOGGED_MESSAGE: Final = "log_seq must be the entry at the head of the log, about this active subject"


def _of_subject(table: str, columns: str, *, deletable: bool = False) -> list[str]:
    """Triggers of a table whose rows belong to a subject: added and removed once, with a log entry."""
    return [
        _refuse(f"{table}_logged", "INSERT", table, _NOT_LOGGED, _LOGGED_MESSAGE),
        _refuse(f"{table}_starts", "INSERT", table, "NEW.removed_seq IS NOT NULL", "a row starts in force"),
        _refuse(
            f"{table}_removed_once", "UPDATE OF removed_seq", table, _REMOVAL_NOT_LOGGED,
            "removed_seq is set once, to the entry at the head of the log about this subject",
        ),
        _new(table, "t.id = NEW.id"),
        *_fixed(table, columns=f"id, subject_id, log_seq, {columns}", deletable=deletable),
    ]  # fmt: skip


def _about(kinds: str, path: str, seq: str) -> str:
    """Say that no head entry of these kinds names the row."""
    return (
        f"NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.seq = NEW.{seq} AND e.seq = {HEAD_OF_LOG} "  # noqa: S608
        f"AND e.kind IN ({kinds}) AND json_extract(e.entry, '$.public.{path}') = NEW.id)"
    )


_SUBJECT_KINDS: Final = "'opt-out', 'name', 'reference', 'rule', 'licence', 'delegation'"
_OPT_OUT: Final = "'opt-out'"
_KEY: Final = "'key'"
_ACTION: Final = (
    "(SELECT json_extract(e.entry, '$.public.action') FROM log_entry e WHERE e.seq = NEW.changed_seq)"
)

SUBJECTS: Final = [
    *_fixed("space"), _new("space", "t.id = NEW.id"),
    *_fixed("party"), _new("party", "t.id = NEW.id", "t.normal = NEW.normal"),
    _new(
        "subject", "t.id = NEW.id",
        "t.party_id = NEW.party_id AND t.kind = NEW.kind AND t.normal = NEW.normal",
    ),
    _refuse(
        "subject_party", "INSERT", "subject",
        "NOT EXISTS (SELECT 1 FROM party p WHERE p.id = NEW.party_id)", "the party is unknown",
    ),
    _refuse(
        "subject_logged", "INSERT", "subject",
        f"NEW.state IS NOT 'active' OR NEW.changed_seq IS NOT NEW.log_seq "
        f"OR {_about(_OPT_OUT, 'subject', 'log_seq')}",
        "a subject starts active, with the opt-out at the head of the log",
    ),
    _refuse(
        "subject_changed_logged", "UPDATE", "subject",
        f"NEW.changed_seq <= OLD.changed_seq OR {_about(_SUBJECT_KINDS, 'subject', 'changed_seq')}",
        "a change needs the log entry at the head that says so",
    ),
    _refuse(
        "subject_state_logged", "UPDATE OF state", "subject",
        f"OLD.state IS NOT NEW.state AND {_ACTION} IS NOT "
        "CASE NEW.state WHEN 'withdrawn' THEN 'withdraw' ELSE 'add' END",
        "the log entry must say withdraw or add",
    ),
    *_fixed("subject", columns="id, party_id, kind, name, normal, log_seq"),
    *_of_subject("name", "text, normal, tier, context, kind, language"),
    *_of_subject("reference", "sha256, polarity, width, height, name"),
    *_of_subject(
        "embedding", "reference_sha256, space, kind, polarity, dimension, vector", deletable=True
    ),
    _refuse(
        "embedding_of_reference", "INSERT", "embedding",
        "NEW.reference_sha256 <> '' AND NOT EXISTS (SELECT 1 FROM reference r "
        "WHERE r.subject_id = NEW.subject_id AND r.sha256 = NEW.reference_sha256 "
        "AND r.polarity = NEW.polarity AND r.removed_seq IS NULL)",
        "the picture is not registered",
    ),
    _refuse(
        "embedding_kept", "DELETE", "embedding", "OLD.removed_seq IS NULL", "what is in force is kept"
    ),
    _refuse(
        "embedding_of_space", "INSERT", "embedding",
        "NOT EXISTS (SELECT 1 FROM space s WHERE s.id = NEW.space AND s.dimension = NEW.dimension)",
        "the space is unknown, or has another dimension",
    ),
    *_of_subject("rule", "effect, account, valid_from, valid_until, priority, licence"),
]  # fmt: skip

KEYS: Final = [
    _new("api_key", "t.id = NEW.id", "t.secret_sha256 = NEW.secret_sha256"),
    *_fixed("api_key", columns="id, account, name, secret_sha256, scopes, created_at, expires_at"),
    _refuse("api_key_starts", "INSERT", "api_key", "NEW.revoked_seq IS NOT NULL", "a key starts in force"),
    _refuse(
        "api_key_revoked_once", "UPDATE OF revoked_at, revoked_seq", "api_key",
        f"OLD.revoked_seq IS NOT NULL OR {_about(_KEY, 'key', 'revoked_seq')}",
        "a key is revoked once, with the log entry at the head that says so",
    ),
]  # fmt: skip

SIGHTS: Final = [
    *_fixed("release_sight", deletable=True),
    _new("release_sight", "t.release_id = NEW.release_id AND t.number = NEW.number"),
    _refuse(
        "release_sight_published", "INSERT", "release_sight",
        "NOT EXISTS (SELECT 1 FROM release r WHERE r.id = NEW.release_id "  # noqa: S608
        f"AND r.log_seq = {HEAD_OF_LOG})",
        "what was seen is stored with the release, not later",
    ),
]  # fmt: skip

ALL: Final = [*SUBJECTS, *KEYS, *SIGHTS]
