"""Triggers of migration r0018: a link works once, and a session that ended does not begin again."""

from typing import Final

from registry.migrations.r0001_triggers import _fixed, _new, _refuse

ALL: Final = [
    statement
    for table, done, told in (
        ("sign_in_link", "used_at", "a link works once"),
        ("web_session", "ended_at", "a session ends once"),
    )
    for statement in (
        _new(table, "t.id = NEW.id", "t.secret_sha256 = NEW.secret_sha256"),
        *_fixed(table, columns="id, key_id, secret_sha256, made_at, until", deletable=True),
        _refuse(f"{table}_once", f"UPDATE OF {done}", table, f"OLD.{done} IS NOT NULL", told),
    )
]
