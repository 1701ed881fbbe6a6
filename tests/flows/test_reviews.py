"""People decide about held clips on the command line: what they clear goes on, what they refuse does not."""

from pathlib import Path
from typing import Any

import pytest

WAVES = ("create", "Zorblaks waves", "--generator", "scene", "--seconds", "1", "--size", "256x256")
SOUND_HELD = ("--policy", "marks-only", "--audio", "hold")


@pytest.fixture
def loud(tmp_path: Path, make_clip: Any) -> Path:
    """A clip with sound, which no check listens to."""
    return make_clip(tmp_path / "loud.mp4", 480, 272, 36, 12, audio=True)


def test_a_person_listens_and_lets_it_go(run: Any, loud: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    held = run("guard", loud, "-o", target, *SOUND_HELD)
    assert (held.status, held.document["release"]) == (1, None)
    [case] = run("case", "list").document
    assert (case["kind"], case["state"], case["needed"], case["release"]) == ("held", "open", 1, None)
    assert [reason["code"] for reason in case["reasons"]] == ["audio_not_checked"]
    taken = run("case", "next", "--by", "Ada")
    assert taken.document["id"] == case["id"]
    assert taken.document["lease"]["holder"] == "Ada"
    assert "audio" in taken.words
    assert run("case", "next", "--by", "Ben").document is None
    refused = run("case", "dismiss", case["id"], "--by", "Ben")
    assert (refused.status, refused.document["error"]["code"]) == (1, "case_taken")
    loud.unlink()  # it was taken in
    done = run("case", "dismiss", case["id"], "--by", "Ada", "--why", "a bird sings")
    assert (done.status, done.document["job_state"], done.document["state"]) == (0, "released", "closed")
    assert [(one["by"], one["decision"], one["why"]) for one in done.document["votes"]] == [
        ("Ada", "release", "a bird sings")
    ]
    assert run("case", "list").document == []
    again = run("case", "dismiss", case["id"], "--by", "Ada")
    assert again.document["error"]["code"] == "case_closed"


def test_a_person_refuses_and_it_ends(run: Any, loud: Path, tmp_path: Path) -> None:
    run("guard", loud, *SOUND_HELD)
    [case] = run("case", "list").document
    done = run("case", "uphold", case["id"], "--by", "Ada", "--why", "a voice")
    assert (done.status, done.document["job_state"]) == (0, "refused")
    assert run("case", "show", case["id"]).document["votes"][0]["decision"] == "block"
    assert run("case", "next", "--by", "Ben").document is None
    assert run("case", "uphold", "nobody").document["error"]["code"] == "not_found"
    assert run("log", "checkpoint").status == 0


def test_a_name_that_means_somebody_else_does_not_count_again(run: Any) -> None:
    prompt = (*WAVES, "--seed", "1")
    assert run("optout", "add", "Zorblax", "--owner", "Studio Example").status == 0
    held = run(*prompt)
    assert [reason["code"] for reason in held.document["decision"]["reasons"]] == ["name_near"]
    [case] = run("case", "list").document
    assert case["texts"] == ["Zorblaks waves"]
    done = run("case", "dismiss", case["id"], "--by", "Ada", "--why", "a village")
    assert done.document["job_state"] == "released"
    out = run(*prompt)  # the same order is the same release
    assert out.status == 0
    assert out.document["decision"]["cleared"] == ["name_near"]
    other = run("create", "Zorblaks sleeps", *prompt[2:])  # that was about one clip
    assert (other.status, other.document["release"]) == (1, None)


def test_a_holder_whom_a_person_asks(run: Any) -> None:
    """A yes releases nothing by itself: the person who asked decides, and what leaves names the yes."""
    subject = run("optout", "add", "Zorblax", "--owner", "Studio Example").document["id"]
    assert run(*WAVES, "--seed", "1").status == 1
    [case] = run("case", "list").document
    assert [one["name"] for one in case["askable"]] == ["Zorblax"]
    wrong = run("case", "ask", case["id"], "--by", "Ada", "--subject", "nobody")
    assert (wrong.status, wrong.document["error"]["code"]) == (2, "usage")
    asked = run("case", "ask", case["id"], "--by", "Ada")
    assert "Zorblax (Studio Example)" in asked.words
    [one] = asked.document["asked"]
    assert (one["subject"], one["state"], one["by"]) == (subject, "asked", "Ada")
    assert run("case", "list").document == []
    early = run("case", "dismiss", case["id"], "--by", "Ada")
    assert early.document["error"]["code"] == "case_taken"
    again = run("case", "ask", case["id"], "--by", "Ada")
    assert again.document["error"]["code"] == "usage"
    answered = run("permission", "approve", one["permission"])
    assert (answered.status, answered.document["job_state"]) == (0, "held")
    [back] = run("case", "list").document
    assert [(it["state"], it["answer"]["scope"]) for it in back["asked"]] == [("approved", "once")]
    done = run("case", "dismiss", case["id"], "--by", "Ada", "--why", "its holder said yes")
    assert done.document["job_state"] == "released"
    out = run(*WAVES, "--seed", "1")
    [ruled] = out.document["decision"]["rulings"]
    assert (ruled["effect"], ruled["permission"]) == ("allow", one["permission"])


def test_a_holder_whom_a_person_asks_says_no(run: Any) -> None:
    run("optout", "add", "Zorblax", "--owner", "Studio Example")
    run(*WAVES, "--seed", "2")
    [case] = run("case", "list").document
    [one] = run("case", "ask", case["id"], "--by", "Ada").document["asked"]
    assert run("permission", "refuse", one["permission"], "--why", "never").document["job_state"] == "refused"
    assert run("case", "show", case["id"]).document["state"] == "closed"
