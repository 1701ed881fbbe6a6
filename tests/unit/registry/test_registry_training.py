"""Wishes about training: said once, replaced by what is said later, proven, and no verdict's business."""

import json
from typing import Any

import pytest
from registry_builders import NOW, SIGNER, Home

from registry import log, merkle, training
from registry.checkpoint import parse_note
from registry.db import read, write
from registry.errors import ConstraintBroken, NotFound, OptOutInvalid
from registry.training import TrainingDraft

BY: dict[str, Any] = {"now": NOW, "sign_checkpoint": SIGNER}
DIGEST = "ab" * 32
WISH = "00000000-0000-7000-8000-000000000000"


def wish(**changes: Any) -> TrainingDraft:
    values: dict[str, Any] = {
        "claimant": "Studio A",
        "uses": {"cawg.ai_training": "notAllowed"},
        "sha256": DIGEST,
    }
    return TrainingDraft(**(values | changes))


def said(home: Home, *drafts: TrainingDraft) -> list[tuple[training.TrainingWish, bool]]:
    return training.assert_many(home.engine, drafts, **BY)


def test_a_wish_is_said_once_and_replaced_by_what_is_said_later(home: Home) -> None:
    [(first, new)] = said(home, wish(work="Zorblax"))
    assert new
    assert said(home, wish(claimant="STUDIO  a")) == [(first, False)]
    [(second, new)] = said(home, wish(uses={"cawg.ai_training": "constrained"},
                                      constraints={"cawg.ai_training": "ask us"}))  # fmt: skip
    assert (new, second.work) == (True, "Zorblax")
    told = training.answer(home.engine, sha256=DIGEST)
    assert [(one.wish.id, one.wish.removed_seq) for one in told] == [
        (first.id, second.seq),
        (second.id, None),
    ]
    assert told[1].wish.uses == {"cawg.ai_training": {"use": "constrained", "constraint_info": "ask us"}}
    with read(home.engine) as conn:
        log.audit(conn)
        assert log.registry_seq(conn) == 0  # no verdict changes by it


def test_an_answer_can_be_checked_by_anybody(home: Home) -> None:
    said(home, wish(), wish(claimant="Studio B", url="https://Example.org:443/a#top", sha256=""))
    home.opt_out()
    [one] = training.answer(home.engine, url="HTTPS://example.org/a")
    note = parse_note(one.proof.note)
    merkle.verify_inclusion(one.proof.leaf_hash, one.proof.seq - 1, note.size, one.proof.path, note.root)
    entry = json.loads(one.proof.entry)
    assert (entry["public"]["wish"], one.at) == (one.wish.id, NOW)
    assert "Studio B" not in one.proof.entry.decode()
    assert one.salt is not None
    assert one.private is not None
    assert log.commit(one.salt, one.private.encode()) == entry["commitment"]
    assert json.loads(one.private)["claimant"] == "Studio B"
    assert training.answer(home.engine, sha256="cd" * 32) == []


def test_a_wish_ends_once(home: Home) -> None:
    [(first, _)] = said(home, wish())
    seq = training.withdraw(home.engine, first.id, **BY)
    assert training.withdraw(home.engine, first.id, **BY) == seq
    [(again, new)] = said(home, wish())
    assert (new, again.id != first.id) == (True, True)
    assert len(training.list_wishes(home.engine, claimant="studio a")) == 2
    assert training.list_wishes(home.engine, claimant="nobody") == []
    with pytest.raises(NotFound):
        training.withdraw(home.engine, WISH, **BY)


@pytest.mark.parametrize(
    "change",
    [{"uses": {}}, {"uses": {"cawg.painting": "allowed"}}, {"uses": {"cawg.ai_training": "maybe"}},
     {"sha256": ""}, {"sha256": "AB" * 32}, {"url": "ftp://example.org/"}, {"url": "words"},
     {"claimant": " "},
     {"url": "https://user@example.org/"}, {"url": "https://example.org:x/"}, {"work": "\u0007"},
     {"constraints": {"cawg.ai_training": "ask"}}, {"constraints": {"cawg.data_mining": "ask"}}],
)  # fmt: skip
def test_what_is_no_wish_is_refused_with_its_place(home: Home, change: dict[str, Any]) -> None:
    with pytest.raises(OptOutInvalid) as caught:
        said(home, wish(), wish(**change))
    assert caught.value.index == 1
    assert training.list_wishes(home.engine) == []


def test_the_database_refuses_what_was_not_said(home: Home) -> None:
    [(first, _)] = said(home, wish())
    said(home, wish(claimant="Studio B"))
    replacing = "INSERT OR REPLACE" if home.engine.dialect.name == "sqlite" else "INSERT"
    for statement in (
        "DELETE FROM training_wish", "UPDATE training_wish SET uses = '{}'",
        "UPDATE training_wish SET removed_seq = 1", "UPDATE training_wish SET removed_seq = 2",
        f"{replacing} INTO training_wish SELECT * FROM training_wish",
        f"INSERT INTO training_wish SELECT '{WISH}', claimant, claimant_normal, work, url, sha256, uses, "
        "source, log_seq, removed_seq FROM training_wish",
    ):  # fmt: skip
        with pytest.raises(ConstraintBroken), write(home.engine) as conn:
            conn.exec_driver_sql(statement)
    training.withdraw(home.engine, first.id, **BY)
    with pytest.raises(ConstraintBroken), write(home.engine) as conn:
        conn.exec_driver_sql("UPDATE training_wish SET removed_seq = NULL WHERE removed_seq = 3")
