"""How far webhooks are: in order, nothing left out, later and later where it fails, again from any place."""

from typing import Any

import pytest
from registry_builders import NOW, Home

from registry import webhooks
from registry.db import write
from registry.errors import ConstraintBroken, EntryInvalid, NotFound
from registry.webhooks import GIVE_UP_DAYS, WAITS, Webhook

URL = "https://example.org/hooks"


def entries(home: Home, one: Webhook) -> list[int]:
    return [entry.seq for entry in webhooks.ahead(home.engine, one)[0]]


def test_from_now_on_or_from_any_place(home: Home) -> None:
    home.opt_out("One")
    now = webhooks.add(home.engine, URL, now=NOW)
    everything = webhooks.add(home.engine, URL, after=0, now=NOW)
    first = home.opt_out("Two").seq
    assert entries(home, now)[0] == now.cursor + 1
    assert first in entries(home, now)
    assert entries(home, everything) == list(range(1, entries(home, now)[-1] + 1))
    assert webhooks.add(home.engine, URL, after=10**9, now=NOW).cursor == entries(home, everything)[-1]


def test_only_its_kinds_and_the_rest_is_passed_by(home: Home) -> None:
    one = webhooks.add(home.engine, URL, ["release", "release"], after=0, now=NOW)
    assert one.kinds == ("release",)
    home.opt_out()
    found, upto = webhooks.ahead(home.engine, one)
    assert (found, upto > 0) == ([], True)
    one = webhooks.taken(home.engine, one, upto)
    made = home.release()
    assert entries(home, one) == [made.log_seq]
    with pytest.raises(EntryInvalid, match="choose from"):
        webhooks.add(home.engine, URL, ["gossip"], now=NOW)


def test_what_fails_is_tried_later_and_later_and_then_paused(home: Home) -> None:
    one = webhooks.add(home.engine, URL, now=NOW)
    assert webhooks.due(home.engine, NOW) == [one]
    one = webhooks.failed(home.engine, one, "it answered 500", NOW)
    assert (one.failures, one.next_at, one.state) == (1, "2026-01-31T12:00:05Z", "active")
    assert webhooks.due(home.engine, "2026-01-31T12:00:04Z") == []
    assert webhooks.due(home.engine, "2026-01-31T12:00:05Z") == [one]
    for _ in range(2 * len(WAITS)):
        one = webhooks.failed(home.engine, one, "it answered 500", NOW)
    assert one.next_at == "2026-01-31T22:00:00Z"
    one = webhooks.failed(home.engine, one, "x" * 1000, f"2026-02-{GIVE_UP_DAYS + 1:02d}T12:00:00Z")
    assert (one.state, len(one.trouble)) == ("paused", webhooks.MAX_TROUBLE)
    assert webhooks.due(home.engine, "2027-01-01T00:00:00Z") == []
    one = webhooks.set_state(home.engine, one.id, webhooks.ACTIVE)
    assert (one.failures, webhooks.due(home.engine, NOW)) == (0, [one])
    again = webhooks.taken(home.engine, webhooks.failed(home.engine, one, "x", NOW), one.cursor)
    assert (again.failures, again.trouble, again.next_at) == (0, "", None)


def test_again_from_any_place(home: Home) -> None:
    home.opt_out()
    one = webhooks.set_state(home.engine, webhooks.add(home.engine, URL, now=NOW).id, webhooks.PAUSED)
    one = webhooks.replay(home.engine, one.id, 0)
    assert (one.cursor, one.state, entries(home, one)[0]) == (0, "active", 1)
    for wrong in (-1, 10**6):
        with pytest.raises(EntryInvalid):
            webhooks.replay(home.engine, one.id, wrong)


def test_what_somebody_sets_while_an_entry_is_sent_stands(home: Home) -> None:
    home.opt_out()
    one = webhooks.add(home.engine, URL, now=NOW)
    webhooks.replay(home.engine, one.id, 0)
    assert webhooks.taken(home.engine, one, one.cursor).cursor == 0
    one = webhooks.get(home.engine, one.id)
    webhooks.set_state(home.engine, one.id, webhooks.PAUSED)
    assert webhooks.failed(home.engine, one, "it answered 500", NOW).state == webhooks.PAUSED
    webhooks.set_state(home.engine, one.id, webhooks.REMOVED)
    assert webhooks.taken(home.engine, one, 1).state == webhooks.REMOVED
    assert webhooks.failed(home.engine, one, "it answered 500", NOW).failures == 0


def test_what_was_removed_does_not_come_back(home: Home) -> None:
    one = webhooks.add(home.engine, URL, now=NOW)
    webhooks.set_state(home.engine, one.id, webhooks.REMOVED)
    assert webhooks.list_all(home.engine) == []
    with pytest.raises(ConstraintBroken, match="removed"):
        webhooks.set_state(home.engine, one.id, webhooks.ACTIVE)
    with pytest.raises(NotFound):
        webhooks.set_state(home.engine, "nobody", webhooks.PAUSED)


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("not in the log yet", {"cursor": 10**6}),
        ("never change", {"url": "https://elsewhere.example"}),
        ("tried_again_when", {"failures": 3, "failing_since": NOW}),
    ],
)
def test_the_database_refuses_what_must_not_be(home: Home, message: str, values: dict[str, Any]) -> None:
    webhooks.add(home.engine, URL, now=NOW)
    with pytest.raises(ConstraintBroken, match=message), write(home.engine) as conn:
        conn.execute(webhooks.webhook.update().values(**values))
