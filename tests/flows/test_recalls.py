"""Withdrawn releases stop being served everywhere, what was made from them follows, and both come back."""

from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.app import open_app
from pipeline.clock import clock
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from registry import releases

GUARD = ("--policy", "marks-only", "--audio", "accept")


@pytest.fixture
def released(run: Any, clip: Path, tmp_path: Path) -> tuple[Path, str]:
    target = tmp_path / "released.mp4"
    answer = run("guard", clip, "-o", target, *GUARD)
    assert answer.status == 0, answer.words
    return target, answer.document["release"]["id"]


def flags(run: Any, file: Path) -> list[str]:
    answer = run("verify", file)
    document = answer.document[0] if isinstance(answer.document, list) else answer.document
    return list(document["flags"])


def test_it_is_gone_everywhere_and_comes_back(run: Any, released: Any, clip: Path, tmp_path: Path) -> None:
    target, number = released
    again = tmp_path / "again.mp4"
    assert run("guard", clip, "-o", tmp_path / "once-more.mp4", *GUARD).status == 0
    assert "withdrawn-release" not in flags(run, target)
    told = run("release", "withdraw", number, "--why", "a mistake")
    assert (told.status, told.document["state"]) == (0, "withdrawn")
    refused = run("guard", clip, "-o", again, *GUARD)
    assert (refused.status, refused.document["error"]["code"], again.exists()) == (1, "refused", False)
    assert "withdrawn-release" in flags(run, target)
    shown = run("release", "show", number).document
    assert [stop["cause"] for stop in shown["stops"]] == ["manual"]
    assert run("release", "reinstate", number).document["state"] == "released"
    assert run("guard", clip, "-o", again, *GUARD).status == 0
    assert "withdrawn-release" not in flags(run, target)
    assert run("release", "show", "nobody").document["error"]["code"] == "not_found"


def test_what_was_made_from_it_follows(run: Any, released: Any) -> None:
    target, number = released
    child = run("guard", target, *GUARD).document["release"]["id"]
    shown = run("release", "show", child).document
    assert shown["parents"] == [{"release": number, "relation": "guard", "evidence": "credential"}]
    run("release", "withdraw", number)
    [case] = run("case", "list").document
    assert (case["kind"], case["release"], case["about"]) == ("derivative", child, number)
    assert run("release", "show", child).document["state"] == "withdrawn"
    held = run("guard", target, "--prompt", "another order", *GUARD)
    assert (held.status, held.document["release"]) == (1, None)
    assert [reason["code"] for reason in held.document["decision"]["reasons"]] == ["parent_withdrawn"]
    dismissed = run("case", "dismiss", case["id"], "--by", "Ada", "--why", "nothing of it is left")
    assert (dismissed.document["state"], dismissed.document["release_state"]) == ("dismissed", "released")
    assert run("case", "dismiss", case["id"], "--by", "Ada").document["error"]["code"] == "case_closed"
    assert run("case", "show", case["id"]).document["decided_by"] == "Ada"
    assert run("release", "reinstate", number).document["state"] == "released"
    [waiting] = run("case", "list").document
    assert waiting["kind"] == "held"
    assert run("case", "dismiss", waiting["id"], "--by", "Ada").document["job_state"] == "released"
    assert run("case", "list").document == []
    assert len(run("case", "list", "--state", "all", "--release", child).document) == 1
    assert run("case", "list", "--state", "shut").status == 2


def stripped(source: Path, target: Path) -> Path:
    """The same packets in a new file: what every platform makes of a credential."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        video = old.streams.video[0]
        copy = new.add_stream_from_template(video)
        for packet in old.demux(video):
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    return target


def test_a_copy_without_its_credential_is_recognised_by_its_mark(
    run: Any, released: Any, tmp_path: Path
) -> None:
    target, number = released
    copy = stripped(target, tmp_path / "copy.mp4")
    child = run("guard", copy, *GUARD).document["release"]["id"]
    shown = run("release", "show", child).document
    assert shown["parents"] == [{"release": number, "relation": "guard", "evidence": "hidden_mark"}]
    run("release", "withdraw", number)
    assert run("release", "show", child).document["state"] == "withdrawn"
    held = run("guard", copy, "--prompt", "another order", *GUARD)
    assert [reason["code"] for reason in held.document["decision"]["reasons"]] == ["parent_withdrawn"]


def test_so_is_one_that_a_clip_was_made_from(
    run: Any, released: Any, other_clip: Path, tmp_path: Path
) -> None:
    target, number = released
    copy = stripped(target, tmp_path / "copy.mp4")
    made = run("guard", other_clip, "--from-file", copy, "--prompt", "a remix", *GUARD).document["release"]
    shown = run("release", "show", made["id"]).document
    assert shown["parents"] == [{"release": number, "relation": "remix", "evidence": "hidden_mark"}]


def test_a_parent_that_is_withdrawn_in_the_middle_of_the_work_meets_the_fence(
    home: Path, released: Any
) -> None:
    target, number = released
    with open_app(load(home)) as app:

        def meanwhile(step: str, event: str, _value: float) -> None:
            if (step, event) == ("store", "end"):
                releases.withdraw(app.engine, number, why={}, now=clock(), sign_checkpoint=app.signer)

        order = GuardOrder(source=target, policy="marks-only", sound=Sound.ACCEPT)
        outcome = app.guard(order, meanwhile)
    assert (outcome.job.state, outcome.release) == ("held", None)
    assert [reason["code"] for reason in outcome.held] == ["parent_withdrawn"]


def test_scans_are_told(run: Any, released: Any) -> None:
    scanned = run("retroscan")
    assert (scanned.status, scanned.document["recalled"]) == (0, [])
    assert scanned.document["found"] == {"withdrawn": 0, "held": 0, "case": 0}
    assert run("retroscan", "status").document == []
    told = run("retroscan", "status", "--subject", "0" * 36).document
    assert (told["searched"], told["matched"]) == (False, 0)
