"""Stops, cases and parents: what is withdrawn, what follows from it, and what undoes it."""

from collections.abc import Callable
from typing import Any

import pytest
from registry_builders import BLOCK, NOW, SIGNER, Home, Judgement, Judging

from registry import cases, log, parents, recalls, releases
from registry.db import read, write
from registry.errors import CaseClosed, ConstraintBroken, NotFound, StillForbidden
from registry.types import Parent, Reason, Release

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
REVIEW = Judgement(
    verdict="review",
    reasons=(Reason(code="picture_match", check="frames", detail="Seen.", evidence={"subject": "s" * 36}),),
)
REASON = {"code": "picture_match", "check": "frames", "detail": "It looks like it."}


def child(home: Home, key: str, *of: Release) -> Release:
    made = [Parent(release=one.id, relation="guard", evidence="credential") for one in of]
    return home.release(key, parents=tuple(made), decision=Judgement(registry_seq=head(home)))


def head(home: Home) -> int:
    with read(home.engine) as conn:
        return log.registry_seq(conn)


def state(home: Home, *of: Release) -> list[str]:
    with read(home.engine) as conn:
        return [str(recalls.demand(conn, one.id).state) for one in of]


def open_cases(home: Home) -> list[cases.Case]:
    with read(home.engine) as conn:
        return cases.page(conn)


def open_case(home: Home, of: Release, about: str = "s" * 36, *, hold: bool = True) -> cases.Case:
    with write(home.engine) as conn:
        made = recalls.open_case(conn, cases.RETRO_MATCH, of.id, about, [REASON], now=NOW, hold=hold)
        log.add_checkpoint(conn, SIGNER, NOW)
    assert made is not None
    return made


def stop(home: Home, of: Release, about: str) -> bool:
    with write(home.engine) as conn:
        return recalls.stop(conn, of.id, recalls.WISH, about, why={}, now=NOW)


def reinstate(home: Home, of: Release, judge: Judging | None = None) -> Release:
    return recalls.reinstate(home.engine, of.id, judge or Judging(seq=head(home)), why={}, **BY)


def dismiss(home: Home, case: cases.Case, judge: Judging | None = None) -> Release:
    answer = judge or Judging(seq=head(home))
    return recalls.dismiss(home.engine, case.id, answer, by="Ada", decision="no", **BY)[1]


def test_each_stop_stands_until_it_is_lifted(home: Home) -> None:
    made = home.release()
    assert stop(home, made, "a")
    assert not stop(home, made, "a")
    assert stop(home, made, "b")
    case = open_case(home, made)
    assert state(home, made) == ["withdrawn"]
    with pytest.raises(StillForbidden, match=case.id):
        reinstate(home, made)
    assert dismiss(home, case).state == "withdrawn"  # two wishes still stand against it
    assert reinstate(home, made).state == "released"
    with read(home.engine) as conn:
        assert recalls.standing(conn, made.id) == []
        assert [entry.kind for entry in log.entries(conn, made.log_seq, 99)] == [
            "withdrawal", "withdrawal", "case", "withdrawal", "case", "case", "reinstatement",
        ]  # fmt: skip


def test_a_case_may_leave_its_release_out(home: Home) -> None:
    made = home.release()
    case = open_case(home, made, hold=False)
    assert state(home, made) == ["released"]
    assert dismiss(home, case, Judging(BLOCK)).state == "released"  # nothing was held back, nothing is asked
    with pytest.raises(CaseClosed):
        dismiss(home, case)
    again = open_case(home, made, hold=False)
    done = recalls.uphold(home.engine, again.id, by="Ada", decision="yes", **BY)
    assert (done.state, done.decided_by, done.decision) == ("upheld", "Ada", "yes")
    assert state(home, made) == ["withdrawn"]
    with pytest.raises(CaseClosed):
        recalls.uphold(home.engine, again.id, by="Ada", decision="", **BY)
    with pytest.raises(NotFound):
        recalls.uphold(home.engine, "nobody", by="Ada", decision="", **BY)


def test_one_case_about_the_same(home: Home) -> None:
    made = home.release()
    open_case(home, made, "a")
    with write(home.engine) as conn:
        again = recalls.open_case(conn, cases.RETRO_MATCH, made.id, "a", [REASON], now=NOW, hold=True)
    assert again is None
    open_case(home, made, "b")
    assert len(open_cases(home)) == 2


def test_what_comes_back_is_compared_first(home: Home) -> None:
    made = home.release()
    releases.withdraw(home.engine, made.id, why={}, **BY)
    with pytest.raises(StillForbidden, match="A name"):
        reinstate(home, made, Judging(BLOCK))
    assert state(home, made) == ["withdrawn"]
    with read(home.engine) as conn:
        assert len(recalls.standing(conn, made.id)) == 1
    judge = Judging(seq=head(home))
    home.opt_out()
    assert reinstate(home, made, judge).state == "released"
    assert [(asked, count) for asked, count, _ in judge.asked] == [(made.id, None), (made.id, 1)]


def test_what_a_person_decided_is_told_to_the_judge(home: Home) -> None:
    made = home.release()
    case = open_case(home, made, "subject")
    judge = Judging(seq=head(home))
    assert dismiss(home, case, judge).state == "released"
    assert judge.asked[0][2] == {"subject": case.log_seq}
    case = open_case(home, made, "subject")
    recalls.uphold(home.engine, case.id, by="Ada", decision="", **BY)
    judge = Judging(seq=head(home))
    assert reinstate(home, made, judge).state == "released"
    assert judge.asked[0][2] == {"subject": case.log_seq}


def test_what_was_made_from_it_follows_and_comes_back(home: Home) -> None:
    root = home.release("root")
    first = child(home, "first", root)
    second = child(home, "second", first)
    other = home.release("other")
    releases.withdraw(home.engine, root.id, why={}, **BY)
    assert state(home, root, first, second, other) == ["withdrawn", "withdrawn", "withdrawn", "released"]
    found = {case.release_id: case for case in open_cases(home)}
    assert {(case.kind, case.about) for case in found.values()} == {("derivative", root.id)}
    assert set(found) == {first.id, second.id}
    reinstate(home, root)
    assert state(home, root, first, second) == ["released"] * 3
    assert open_cases(home) == []


def test_only_what_was_held_back_for_that_comes_back(home: Home) -> None:
    root = home.release("root")
    wished, upheld, dismissed, found = (child(home, key, root) for key in "abcd")
    stop(home, wished, "somebody")
    releases.withdraw(home.engine, root.id, why={}, **BY)
    by_release = {case.release_id: case for case in open_cases(home)}
    recalls.uphold(home.engine, by_release[upheld.id].id, by="Ada", decision="", **BY)
    assert dismiss(home, by_release[dismissed.id]).state == "released"

    class Finds(Judging):
        def __call__(self, released: Release, *rest: Any, by_itself: bool) -> Judgement:
            assert by_itself is (released.id != root.id)
            return (
                REVIEW if released.id == found.id else super().__call__(released, *rest, by_itself=by_itself)
            )

    reinstate(home, root, Finds(seq=head(home)))
    assert state(home, root, wished, upheld, dismissed, found) == [
        "released", "withdrawn", "withdrawn", "released", "withdrawn",
    ]  # fmt: skip
    [case] = open_cases(home)
    assert (case.kind, case.release_id, case.about) == ("retro_match", found.id, "s" * 36)


def test_what_was_made_from_it_waits_for_each_of_its_parents(home: Home) -> None:
    root = home.release("root")
    first = child(home, "first", root)
    second = child(home, "second", first)
    releases.withdraw(home.engine, root.id, why={}, **BY)
    stop(home, first, "somebody")  # while it is away already
    reinstate(home, root)
    assert state(home, root, first, second) == ["released", "withdrawn", "withdrawn"]
    assert [(one.release_id, one.about) for one in open_cases(home)] == [(second.id, first.id)]
    reinstate(home, first)
    assert state(home, root, first, second) == ["released"] * 3
    assert open_cases(home) == []


def test_what_was_made_from_what_a_person_upheld_stays_away(home: Home) -> None:
    root = home.release("root")
    first = child(home, "first", root)
    second = child(home, "second", first)
    releases.withdraw(home.engine, root.id, why={}, **BY)
    [case] = [one for one in open_cases(home) if one.release_id == first.id]
    recalls.uphold(home.engine, case.id, by="Ada", decision="", **BY)
    reinstate(home, root)
    assert state(home, root, first, second) == ["released", "withdrawn", "withdrawn"]


@pytest.mark.parametrize("answer", [BLOCK, REVIEW])
def test_what_was_made_from_what_is_kept_back_stays_away(home: Home, answer: Judgement) -> None:
    root = home.release("root")
    first = child(home, "first", root)
    second = child(home, "second", first)
    releases.withdraw(home.engine, root.id, why={}, **BY)

    class Finds(Judging):
        def __call__(self, released: Release, *rest: Any, by_itself: bool) -> Judgement:
            assert by_itself is (released.id != root.id)
            return (
                answer if released.id == first.id else super().__call__(released, *rest, by_itself=by_itself)
            )

    reinstate(home, root, Finds(seq=head(home)))
    assert state(home, root, first, second) == ["released", "withdrawn", "withdrawn"]


def test_descendants_may_be_served_until_they_are_decided(home: Home) -> None:
    root = home.release("root")
    made = child(home, "made", root)
    releases.withdraw(home.engine, root.id, why={}, hold=False, **BY)
    assert state(home, root, made) == ["withdrawn", "released"]
    [case] = open_cases(home)
    recalls.uphold(home.engine, case.id, by="Ada", decision="", hold=False, **BY)
    assert state(home, made) == ["withdrawn"]
    reinstate(home, root)
    assert state(home, root, made) == ["released", "withdrawn"]  # a person's decision stands


def test_parents_are_found_at_every_depth(home: Home) -> None:
    root = home.release("root")
    first = child(home, "first", root)
    second = child(home, "second", first, root)
    with read(home.engine) as conn:
        assert parents.descendants(conn, root.id) == {first.id, second.id}
        assert parents.ancestors(conn, [second.id]) == {root.id, first.id, second.id}
        assert {one.release for one in parents.of(conn, second.id)} == {root.id, first.id}


def test_nothing_is_made_from_what_is_withdrawn(home: Home) -> None:
    root = home.release("root")
    releases.withdraw(home.engine, root.id, why={}, **BY)
    with pytest.raises(ConstraintBroken, match="withdrawn"):
        child(home, "late", root)


WRONG: list[tuple[str, Callable[[Release, cases.Case], str]]] = [
    ("stands against", lambda made, _: f"UPDATE release SET state = 'released' WHERE id = '{made.id}'"),
    ("withdrawn first", lambda made, _: "INSERT INTO release_stop (id, release_id, cause, about, since_seq) "
     f"SELECT '{'x' * 36}', id, 'manual', '', log_seq FROM release WHERE state = 'released'"),
    ("never change", lambda *_: "UPDATE release_stop SET about = 'b'"),
    ("never deleted", lambda *_: "DELETE FROM release_stop"),
    ("lifted once", lambda *_: "UPDATE release_stop SET lifted_seq = NULL"),
    ("closed once", lambda *_: "UPDATE review_case SET state = 'dismissed', closed_at = opened_at, "
     "closed_seq = log_seq, decided_by = 'x'"),
    ("never change", lambda *_: "UPDATE review_case SET about = 'b'"),
    ("never deleted", lambda *_: "DELETE FROM review_case"),
    ("starts open", lambda made, case: "INSERT INTO review_case SELECT "
     f"'{'y' * 36}', kind, release_id, 'z', reasons, state, opened_at, log_seq, closed_at, closed_seq, "
     "decided_by, decision FROM review_case"),
    ("with the release", lambda made, _: "INSERT INTO release_parent SELECT "
     f"'{made.id}', r.id, 'guard', 'credential' FROM release r WHERE r.state = 'released'"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "statement"), WRONG)
def test_the_database_refuses_what_must_not_be(
    home: Home, message: str, statement: Callable[[Release, cases.Case], str]
) -> None:
    made = home.release("one")
    home.release("two")
    case = open_case(home, made)
    with pytest.raises(ConstraintBroken, match=message), write(home.engine) as conn:
        conn.exec_driver_sql(statement(made, case))
