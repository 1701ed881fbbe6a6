"""A cap of releases a day: counted in the publish transaction, and not to be overtaken."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home, candidate

from registry import releases, rules, uses
from registry.counter import reserve_payload_counter
from registry.db import read, write
from registry.errors import ConstraintBroken
from registry.ruling import Used
from registry.tables import log_entry
from registry.tables_rules import release_subject, rule_use
from registry.types import Held, Reason, Release
from registry.uses import Shown
from registry.vocabulary import Conditions

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
TOMORROW = "2026-02-01T00:00:00Z"


@dataclass(frozen=True)
class Allowed:
    """What a fence says of a clip that rests on rules."""

    shown: tuple[Shown, ...]
    verdict: str = "allow"
    reasons: tuple[Reason, ...] = ()


def publish(
    home: Home, key: str, rule: str, subject: str, account: str = "a", now: str = NOW
) -> Release | Held:
    job = home.jobs.submit("make", key, {"prompt": "a red kite"})
    asking = candidate(job, reserve_payload_counter(home.engine), facts={"account": account})
    said = Allowed((Shown(subject=subject, intent="depict", rule=rule),))
    return releases.publish(home.engine, asking, lambda _changes: said, now=now, sign_checkpoint=SIGNER)


def capped(home: Home, **caps: int) -> tuple[str, str]:
    subject = home.opt_out().subject
    made = rules.set_rule(home.engine, subject, "allow", conditions=Conditions(**caps), **BY)
    return made.id, subject


@pytest.mark.parametrize("by", ["cap_all", "cap_account"])
def test_publishers_at_once_get_exactly_as_many_as_the_cap(home: Home, by: str) -> None:
    rule, subject = capped(home, **{by: 5})
    made: list[Release | Held] = []
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            made.extend(publish(home, f"{number}-{turn}", rule, subject) for turn in range(4))
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sum(isinstance(one, Release) for one in made) == 5
    held = [one for one in made if isinstance(one, Held)]
    assert (len(held), {one.reasons[0].code for one in held}) == (19, {uses.CAP_REACHED})
    told = held[0].reasons[0]
    assert (told.evidence["subject"], told.evidence["owner"]) == (subject, "Acme")
    assert "(Acme) is used up for today" in told.detail
    assert uses.today(home.engine, [rule], "a", NOW) == {rule: Used(account=5, everybody=5)}


def test_accounts_are_counted_each_for_itself_and_days_anew(home: Home) -> None:
    rule, subject = capped(home, cap_account=1, cap_all=2)
    assert isinstance(publish(home, "1", rule, subject, "a"), Release)
    assert isinstance(publish(home, "2", rule, subject, "a"), Held)
    assert isinstance(publish(home, "3", rule, subject, "b"), Release)
    assert isinstance(publish(home, "4", rule, subject, "c"), Held)
    assert uses.today(home.engine, [rule], "c", NOW) == {rule: Used(account=0, everybody=2)}
    assert isinstance(publish(home, "5", rule, subject, "a", TOMORROW), Release)
    assert uses.today(home.engine, [rule], None, TOMORROW) == {rule: Used(account=0, everybody=1)}


def test_a_release_is_found_by_who_is_in_it(home: Home) -> None:
    rule, subject = capped(home, cap_all=9)
    first, second = (publish(home, key, rule, subject, key) for key in ("a", "b"))
    assert isinstance(first, Release)
    assert isinstance(second, Release)
    assert set(uses.releases_of(home.engine, subject)) == {first.id, second.id}
    assert uses.releases_of(home.engine, subject, account="a") == [first.id]
    assert uses.rules_of(home.engine, first.id) == [rule]
    assert uses.releases_of(home.engine, "nobody") == []


def test_a_rule_that_was_taken_back_is_not_used(home: Home) -> None:
    rule, subject = capped(home, cap_all=9)
    rules.unset_rule(home.engine, rule, **BY)
    job = home.jobs.submit("make", "k", {})
    asking = candidate(job, 1, facts={"account": "a"})
    said = Allowed((Shown(subject=subject, intent="depict", rule=rule),))
    with pytest.raises(ConstraintBroken, match="taken back"):
        releases.publish(home.engine, asking, lambda _: said, **BY)


def test_what_the_database_refuses_of_uses(home: Home) -> None:
    rule, subject = capped(home, cap_all=1, cap_account=1)
    released = publish(home, "1", rule, subject)
    assert isinstance(released, Release)
    later = {"release_id": released.id, "rule_id": rule, "account": "b", "day": "2026-02-01"}
    wrong: list[tuple[Any, str]] = [
        (rule_use.update().values(number=7), "never change"),
        (rule_use.delete(), "never deleted"),
        (release_subject.delete(), "never deleted"),
        (release_subject.update().values(intent="style"), "never change"),
        (rule_use.insert().values(**later, number=1, account_number=1), "there already"),
        (
            release_subject.insert().values(release_id=released.id, subject_id=subject, intent="depict"),
            "there already",
        ),
    ]
    for statement, why in wrong:
        with pytest.raises(ConstraintBroken, match=why), write(home.engine) as conn:
            conn.execute(statement)
    other = home.release("plain")
    use = {"release_id": other.id, "rule_id": rule, "account": "b"}
    tries = [
        ({"day": "2026-01-31", "number": 2, "account_number": 1}, "used up"),
        ({"day": "2026-02-01", "number": 2, "account_number": 1}, "without a gap|used up"),
        ({"day": "2026-02-01", "number": 1, "account_number": 2}, "without a gap|used up"),
    ]
    for values, why in tries:
        with pytest.raises(ConstraintBroken, match=why), write(home.engine) as conn:
            conn.execute(rule_use.insert().values(**use, **values))
    home.opt_out("Another")  # the head of the log moves on
    with pytest.raises(ConstraintBroken, match="not later"), write(home.engine) as conn:
        conn.execute(rule_use.insert().values(**use, day="2026-02-01", number=1, account_number=1))
    with read(home.engine) as conn:
        assert len(conn.execute(rule_use.select()).all()) == 1
        assert conn.execute(log_entry.select()).all()
