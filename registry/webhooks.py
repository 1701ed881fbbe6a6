"""Webhooks: who is told of the log's entries, in order, and how far they are. The log is the outbox.

1. A webhook has a *cursor*: the last entry that it was told, or that is none of its kinds. It only moves on
   when what lies before it has been taken, so that entries come in order and none is left out.
2. What fails is tried again later and later (`WAITS`); after `GIVE_UP_DAYS` of failing it is paused.
3. Setting the cursor back tells everything after it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Engine, Row, select

from registry import log
from registry.db import read, write
from registry.errors import EntryInvalid, NotFound
from registry.ids import later, new_id, parse_time
from registry.tables_webhooks import webhook
from registry.types import LogEntry

ACTIVE, PAUSED, REMOVED = "active", "paused", "removed"
KINDS: Final = tuple(sorted(log.VERDICT_CHANGING_KINDS | log.OTHER_KINDS))
WAITS: Final = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000)  # seconds; the last again and again
GIVE_UP_DAYS: Final = 5
STRETCH: Final = 1000  # entries that are looked through at a time
MAX_TROUBLE: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where entries are sent, and how that goes.

    ``kinds``: of entries, none for all; ``opened``: with their private part, for systems of one's own;
    ``cursor``: see the rules; ``trouble``: what went wrong last; ``next_at``: when it is tried again.
    """

    id: str
    url: str
    kinds: tuple[str, ...]
    opened: bool
    made_at: str
    state: str
    cursor: int
    failures: int
    trouble: str
    failing_since: str | None
    next_at: str | None


def add(
    engine: Engine, url: str, kinds: Sequence[str] = (), *, opened: bool = False, after: int | None = None,
    now: str,
) -> Webhook:  # fmt: skip
    """Tell this address of entries from now on, or of those after an entry. Raises `EntryInvalid`."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise EntryInvalid(
            f"{unknown[0][:40]!r} is not a kind of log entry; choose from: {', '.join(KINDS)}."
        )
    with write(engine) as conn:
        head = log.head(conn)
        row = {
            "id": new_id(now), "url": url, "kinds": sorted(set(kinds)), "opened": int(opened),
            "made_at": now, "state": ACTIVE, "cursor": head if after is None else min(after, head),
            "failures": 0, "trouble": "", "failing_since": None, "next_at": None,
        }  # fmt: skip
        conn.execute(webhook.insert().values(**row))
    return get(engine, str(row["id"]))


def get(engine: Engine, webhook_id: str) -> Webhook:
    """A webhook by its id. Raises `NotFound`."""
    with read(engine) as conn:
        row = conn.execute(select(webhook).where(webhook.c.id == webhook_id)).first()
    if row is None:
        raise NotFound(f"There is no webhook {webhook_id[:40]!r}; see countermark webhook list.")
    return _loaded(row)


def list_all(engine: Engine) -> list[Webhook]:
    """All that were not removed, oldest first."""
    with read(engine) as conn:
        rows = conn.execute(select(webhook).where(webhook.c.state != REMOVED).order_by(webhook.c.id))
        return [_loaded(row) for row in rows]


def due(engine: Engine, now: str) -> list[Webhook]:
    """Those that are to be tried now."""
    at = parse_time(now)
    found = [one for one in list_all(engine) if one.state == ACTIVE]
    return [one for one in found if one.next_at is None or parse_time(one.next_at) <= at]


def ahead(engine: Engine, one: Webhook) -> tuple[list[LogEntry], int]:
    """Entries after the cursor that it is told of, and the place up to which that was looked through."""
    with read(engine) as conn:
        upto = min(log.head(conn), one.cursor + STRETCH)
        found = log.entries(conn, one.cursor, upto)
    return [entry for entry in found if not one.kinds or entry.kind in one.kinds], upto


def taken(engine: Engine, one: Webhook, upto: int) -> Webhook:
    """Everything up to an entry was taken, or is not for it.

    Where somebody set the cursor or the state meanwhile, theirs stands.
    """
    _as_it_was(engine, one, cursor=upto, failures=0, trouble="", failing_since=None, next_at=None)
    return get(engine, one.id)


def failed(engine: Engine, one: Webhook, trouble: str, now: str) -> Webhook:
    """Try again later (2), or pause where that has gone on for long."""
    since = one.failing_since or now
    over = parse_time(now) - parse_time(since) > timedelta(days=GIVE_UP_DAYS)
    wait = WAITS[min(one.failures, len(WAITS) - 1)]
    _as_it_was(
        engine, one, failures=one.failures + 1, trouble=trouble[:MAX_TROUBLE], failing_since=since,
        next_at=later(now, timedelta(seconds=wait)), state=PAUSED if over else ACTIVE,
    )  # fmt: skip
    return get(engine, one.id)


def replay(engine: Engine, webhook_id: str, after: int) -> Webhook:
    """Tell everything after an entry again, at once. Raises `NotFound`, `EntryInvalid`."""
    get(engine, webhook_id)
    with read(engine) as conn:
        head = log.head(conn)
    if not 0 <= after <= head:
        raise EntryInvalid(f"The log has {head} entries; name one of them, or 0 for all.")
    fresh = {"failures": 0, "trouble": "", "failing_since": None, "next_at": None}
    _update(engine, webhook_id, cursor=after, state=ACTIVE, **fresh)
    return get(engine, webhook_id)


def set_state(engine: Engine, webhook_id: str, state: str) -> Webhook:
    """Pause it, go on with it at once, or remove it. Raises `NotFound`."""
    get(engine, webhook_id)
    fresh: dict[str, Any] = {}
    if state == ACTIVE:
        fresh = {"failures": 0, "trouble": "", "failing_since": None, "next_at": None}
    _update(engine, webhook_id, state=state, **fresh)
    return get(engine, webhook_id)


def _as_it_was(engine: Engine, one: Webhook, **values: Any) -> None:
    """Change it if it is still active and where it was."""
    same = (webhook.c.id == one.id, webhook.c.cursor == one.cursor, webhook.c.state == ACTIVE)
    with write(engine) as conn:
        conn.execute(webhook.update().where(*same).values(**values))


def _update(engine: Engine, webhook_id: str, **values: Any) -> None:
    with write(engine) as conn:
        conn.execute(webhook.update().where(webhook.c.id == webhook_id).values(**values))


def _loaded(row: Row[Any]) -> Webhook:
    return Webhook(**row._asdict() | {"kinds": tuple(row.kinds), "opened": bool(row.opened)})
