"""Imports in the name of an association: only for members that delegated it, and with their works."""

from pathlib import Path
from typing import Any

import pytest
from import_builders import catalogue, importer_in, order

from pipeline.errors import ImportRefused
from pipeline.imports.importer import Importer
from registry import delegations, import_runs, optouts, parties
from registry.party_types import Filing, Party, Terms

STATED = {"authority": "yes", "good_faith": "yes"}


def party(importer: Importer, name: str, kind: str, level: str) -> Party:
    by: dict[str, Any] = {"now": importer.clock(), "sign_checkpoint": importer.signer}
    return parties.add(importer.engine, name, kind, level=level, **by)


def association(importer: Importer, level: str = "document", members: str = "AB") -> Filing:
    made = party(importer, "Association", "association", level)
    for letter in members:
        member = party(importer, f"Member {letter}", "company", level)
        delegations.grant(
            importer.engine, member.id, made.id, now=importer.clock(), sign_checkpoint=importer.signer
        )
    return Filing(by=made.id, statements=STATED, signature="Association")


LINES = [{"name": "Zorblax", "member": "Member A", "work": "Zorblax II"},
         {"name": "Kimbo Larr", "member": "Member B", "work": "Larr"},
         {"name": "Quimbo Tarr", "member": "Member A", "work": "Zorblax II"}]  # fmt: skip


def test_an_association_imports_for_its_members(tmp_path: Path) -> None:
    importer = importer_in(tmp_path)
    filing = association(importer)
    asked = order(catalogue(tmp_path, *LINES), filing=filing)
    assert [plan.outcome for plan in importer.plan(asked)] == ["new"] * 3
    run = importer.run(asked).run
    assert (run.made, run.by_party) == (3, filing.by)
    records = optouts.list_subjects(importer.engine)
    assert {(one.name, one.owner, one.standing) for one in records} == {
        ("Zorblax", "Member A", "active"), ("Kimbo Larr", "Member B", "active"),
        ("Quimbo Tarr", "Member A", "active"),
    }  # fmt: skip
    works = {one.name: one.work for one in records}
    assert works["Zorblax"] == works["Quimbo Tarr"] != works["Kimbo Larr"]
    assert [title for _, title in parties.works(importer.engine, records[0].party)] != []
    assert {plan.outcome for plan in importer.plan(asked)} == {"unchanged"}
    moved = order(catalogue(tmp_path, LINES[0] | {"work": "Zorblax III"}), filing=filing)
    assert [plan.outcome for plan in importer.plan(moved)] == ["extends"]
    assert importer.run(moved).run.extended == 1
    importer.engine.dispose()


def test_members_that_did_not_delegate_are_told_by_line(tmp_path: Path) -> None:
    importer = importer_in(tmp_path)
    filing = association(importer, members="A")
    party(importer, "Member B", "company", "document")
    lines = [*LINES, LINES[0] | {"member": "Nobody"}]
    with pytest.raises(ImportRefused) as caught:
        importer.run(order(catalogue(tmp_path, *lines), filing=filing))
    assert [(one.line, one.code) for one in caught.value.problems] == [(2, "act_refused"), (4, "not_found")]
    report = importer.run(order(catalogue(tmp_path, *lines), filing=filing, skip_bad=True))
    assert (report.run.made, report.run.skipped) == (2, 2)
    importer.engine.dispose()


def test_what_an_unverified_party_says_beyond_its_cap_waits(tmp_path: Path) -> None:
    made = importer_in(tmp_path)
    importer = Importer(
        engine=made.engine, eyes=made.eyes, signer=made.signer, clock=made.clock, staging=made.staging,
        calibrated=made.calibrated, terms=Terms(days=14, cap=2),
    )  # fmt: skip
    filing = association(importer, "claimed")
    asked = order(catalogue(tmp_path, *LINES), filing=filing)
    assert [plan.outcome for plan in importer.plan(asked)] == ["new", "new", "waits"]
    run = importer.run(asked).run
    assert (run.made, run.waiting, run.state) == (2, 1, "done")
    told = import_runs.lines(importer.engine, run.id)
    assert (told[2].outcome, told[2].subject, told[2].seq is None) == ("waits", None, False)
    assert {one.standing for one in optouts.list_subjects(importer.engine)} == {"provisional"}
    importer.engine.dispose()
