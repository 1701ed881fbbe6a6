"""The main job: guard a clip, then verify it as released and as changed."""

import contextlib
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.media.reader import open_clip
from pipeline.media.types import AudioPacket, Frame, MediaLimits
from pipeline.media.writer import ClipWriter

LIMITS = MediaLimits()
GUARD = ("--policy", "marks-only", "--audio", "accept")


def reencode(source: Path, target: Path, *, factor: float = 1.0, crf: float = 28) -> Path:
    """Without metadata, without sound, at another size."""
    with open_clip(source, limits=LIMITS) as clip:
        size = tuple(round(side * factor / 2) * 2 for side in (clip.info.width, clip.info.height))
        info = replace(clip.info, width=size[0], height=size[1])
        with ClipWriter(target, info, crf=crf, preset="veryfast") as writer:
            for frame in clip.frames():
                writer.write(resized(frame, size))
    return target


def resized(frame: Frame, size: tuple[int, ...]) -> Frame:
    half = (size[0] // 2, size[1] // 2)
    planes = ((frame.y, size), (frame.u, half), (frame.v, half))
    y, u, v = (cv2.resize(plane, to, interpolation=cv2.INTER_AREA) for plane, to in planes)  # type: ignore[arg-type]
    return replace(frame, y=y, u=u, v=v)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that asks for a release leaves it for the others."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def released(run: Any, home: Path, clip: Path, tmp_path: Path, kept: Path) -> tuple[Path, dict[str, Any]]:
    """A released clip, and what `guard` said of it; the home is the test's own."""
    target, told = tmp_path / "released.mp4", kept / "told.json"
    if told.exists():
        shutil.copytree(kept / "home", home)
        shutil.copy(kept / "released.mp4", target)
        return target, json.loads(told.read_text())
    answer = run("guard", clip, "-o", target, *GUARD)
    assert answer.status == 0, answer.words
    shutil.copytree(home, kept / "home")
    shutil.copy(target, kept)
    told.write_text(json.dumps(answer.document))
    return target, answer.document


def test_a_clip_is_released_with_every_check_named(released: Any, clip: Path) -> None:
    target, document = released
    assert document["decision"]["verdict"] == "allow"
    assert document["decision"]["checks"] == {
        "prompt_names": "not_configured", "prompt_descriptions": "not_configured",
        "unregistered_names": "not_configured", "unsafe_content": "not_configured",
        "frames": "not_configured", "likeness": "not_configured", "words": "not_configured",
        "unsafe_frames": "not_checked",
        "audio": "absent",
    }  # fmt: skip
    assert set(document["release"]) >= {"id", "payload", "file", "sha256", "urn"}
    assert {"accept", "mark/1", "inspect/1", "sign", "reread", "publish", "place"} <= set(document["stages"])
    for path in (clip, target):
        with open_clip(path, limits=LIMITS) as read:
            times = [(frame.pts * clip_tick(read.info.time_base)) for frame in read.frames()]
            shapes = (read.info.width, read.info.height, read.info.frame_count)
        if path == clip:
            wanted = (times, shapes)
    assert (times, shapes) == wanted


def clip_tick(tick: Any) -> float:
    return float(tick)


def test_the_release_verifies_as_intact(run: Any, released: Any) -> None:
    target, document = released
    answer = run("verify", target)
    assert answer.status == 0
    [report] = answer.document
    assert report["verdict"] == "intact"
    assert report["release"]["id"] == document["release"]["id"]
    assert report["flags"] == []
    states = {line: evidence["state"] for line, evidence in report["evidence"].items()}
    assert states == dict.fromkeys(("credential", "hidden_mark", "visible_mark", "log"), "found")
    hidden = report["evidence"]["hidden_mark"]
    assert hidden["payload"] == document["release"]["payload"]
    assert hidden["log10_chance"] <= -9
    assert hidden["span"][0] == 0


def test_a_stripped_and_shrunk_copy_is_recovered(run: Any, released: Any, tmp_path: Path) -> None:
    target, document = released
    copy = reencode(target, tmp_path / "copy.mp4", factor=0.75, crf=26)
    answer = run("verify", copy)
    [report] = answer.document
    assert report["verdict"] == "recovered", report
    assert answer.status == 0
    assert report["release"]["id"] == document["release"]["id"]
    assert report["evidence"]["credential"]["state"] == "absent"
    assert report["evidence"]["log"]["state"] == "found"


def test_a_fingerprint_that_the_log_was_not_told_decides_nothing(
    run: Any, home: Path, released: Any, other_clip: Path, tmp_path: Path
) -> None:
    """Whoever can write in the database puts another release's fingerprint over this one's."""
    other = run(
        "guard", other_clip, "-o", tmp_path / "other-out.mp4", "--policy", "marks-only", "--audio", "accept"
    )
    assert other.status == 0, other
    with contextlib.closing(sqlite3.connect(home / "registry.db")) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        theirs = "SELECT fingerprint FROM release WHERE id = ?"
        [(wrong,)] = database.execute(theirs, (other.document["release"]["id"],)).fetchall()
        update = "UPDATE release SET fingerprint = ? WHERE id = ?"
        assert database.execute(update, (wrong, released[1]["release"]["id"])).rowcount == 1
        database.commit()
    copy = reencode(released[0], tmp_path / "copy.mp4", factor=0.75, crf=26)
    [report] = run("verify", copy).document
    assert report["verdict"] == "recovered-unconfirmed", report
    assert report["evidence"]["log"]["state"] == "failed"


@pytest.mark.parametrize("place", [0.4, 0.5, 0.9])
def test_a_changed_byte_is_altered(run: Any, released: Any, tmp_path: Path, place: float) -> None:
    content = bytearray(released[0].read_bytes())
    content[int(len(content) * place)] ^= 0x10
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(content)
    answer = run("verify", changed)
    assert answer.document[0]["verdict"] == "altered"
    assert answer.status == 1


def test_an_unmarked_clip_is_none(run: Any, released: Any, clip: Path) -> None:
    answer = run("verify", clip)
    [report] = answer.document
    assert (answer.status, report["verdict"], report["release"]) == (0, "none", None)
    assert report["evidence"]["hidden_mark"]["state"] == "absent"


def test_the_mark_on_other_pictures_is_a_conflict(
    run: Any, tmp_path: Path, clip: Path, other_clip: Path, released: Any
) -> None:
    """The attacker moves our mark by subtracting the original from the release; the fingerprint tells."""
    forged = tmp_path / "forged.mp4"
    with (
        open_clip(released[0], limits=LIMITS) as marked,
        open_clip(clip, limits=LIMITS) as original,
        open_clip(other_clip, limits=LIMITS) as host,
        ClipWriter(forged, host.info, crf=14, preset="veryfast") as writer,
    ):
        for ours, theirs, frame in zip(marked.frames(), original.frames(), host.frames(), strict=True):
            planes = {name: _pasted(*(getattr(f, name) for f in (frame, ours, theirs))) for name in "yuv"}
            writer.write(replace(frame, **planes))
    [report] = run("verify", forged).document
    assert report["evidence"]["hidden_mark"]["payload"] == released[1]["release"]["payload"]
    assert (report["verdict"], report["release"]) == ("conflict", None)


def _pasted(host: Any, marked: Any, original: Any) -> Any:
    moved = host.astype(np.int16) + np.clip(marked.astype(np.int16) - original, -8, 8)
    return np.clip(moved, 0, 255).astype(np.uint8)


def test_without_keys_the_mark_is_not_checked(run: Any, released: Any, clip: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    answer = run("verify", clip, "--home", nowhere)
    [report] = answer.document
    assert (answer.status, report["verdict"]) == (3, "inconclusive")
    assert report["evidence"]["hidden_mark"]["state"] == "not_checked"
    assert not nowhere.exists()
    [report] = run("verify", released[0], "--home", nowhere).document
    assert report["verdict"] == "untrusted-claim"
    assert "ountermark development" not in json.dumps(report)


def test_the_same_order_gives_the_same_release(run: Any, clip: Path, tmp_path: Path) -> None:
    once, again = tmp_path / "once.mp4", tmp_path / "again.mp4"
    first, second = (run("guard", clip, "-o", out, *GUARD).document["release"] for out in (once, again))
    assert first["id"] == second["id"]
    assert again.read_bytes() == once.read_bytes()


def test_the_default_policy_looks_at_the_clip(run: Any, clip: Path, tmp_path: Path) -> None:
    answer = run("guard", clip, "-o", tmp_path / "out.mp4")
    assert answer.status == 0, answer.words
    assert answer.document["decision"]["checks"] == {
        "prompt_names": "not_applicable", "prompt_descriptions": "not_applicable",
        "unregistered_names": "not_configured", "unsafe_content": "not_applicable",
        "frames": "completed", "likeness": "completed", "words": "completed", "audio": "absent",
        "unsafe_frames": "not_checked",
    }  # fmt: skip
    assert (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("choice", "status", "state"),
    [("hold", 1, "not_checked"), ("strip", 0, "stripped"), ("accept", 0, "not_checked")],
)
def test_sound_is_never_passed_silently(
    run: Any, make_clip: Any, tmp_path: Path, choice: str, status: int, state: str
) -> None:
    noisy = make_clip(tmp_path / "noisy.mp4", 256, 144, 36, 12, audio=True)
    out = tmp_path / "out.mp4"
    answer = run("guard", noisy, "-o", out, "--policy", "marks-only", "--audio", choice)
    assert (answer.status, answer.document["decision"]["checks"]["audio"]) == (status, state)
    assert out.exists() is (status == 0)
    if out.exists():
        with open_clip(out, limits=LIMITS, audio=True) as read:
            packets = sum(isinstance(part, AudioPacket) for part in read)
        assert bool(packets) is (choice == "accept")


def test_a_verifier_bundle_reads_and_cannot_mint(run: Any, home: Path, released: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.json"
    assert run("keys", "export-verifier", "-o", bundle, "--detect").status == 0
    secrets = json.loads((home / "keys" / "marks.json").read_text())
    text = bundle.read_text()
    assert secrets["minting"] not in text
    assert secrets["log"] not in text
    assert "PRIVATE KEY" not in text
    elsewhere = tmp_path / "elsewhere"
    [report] = run("verify", released[0], "--home", elsewhere, "--trust", bundle).document
    assert report["verdict"] == "intact"
    assert report["evidence"]["hidden_mark"]["payload"] == released[1]["release"]["payload"]
    assert report["evidence"]["log"]["state"] == "not_checked"
    copy = reencode(released[0], tmp_path / "copy.mp4")
    answer = run("verify", copy, "--home", elsewhere, "--trust", bundle)
    assert (answer.status, answer.document[0]["verdict"]) == (3, "inconclusive")
    blind = tmp_path / "blind.json"
    run("keys", "export-verifier", "-o", blind)
    [report] = run("verify", released[0], "--home", elsewhere, "--trust", blind).document
    assert report["verdict"] == "intact"
    assert report["evidence"]["hidden_mark"]["state"] == "not_checked"


def test_what_a_bundle_holder_marks_is_not_accepted_by_the_service(
    run: Any, home: Path, released: Any, clip: Path, tmp_path: Path
) -> None:
    """With the detection key one can draw marks, but not one whose payload the service issued."""
    from pipeline.keyring import load_keyring
    from watermark.base import Picture
    from watermark.carrier import HiddenMark, Strength

    key = load_keyring(home / "keys").current
    forged = tmp_path / "minted.mp4"
    with open_clip(clip, limits=LIMITS) as read:
        mark = HiddenMark(key, 0x1234567890ABCDEF, read.info.width, read.info.height, Strength(psnr=40))
        with ClipWriter(forged, read.info, crf=14, preset="veryfast") as writer:
            for frame in read.frames():
                _, y, u, v = mark.embed(Picture(frame.time, frame.y, frame.u, frame.v))
                writer.write(replace(frame, y=y, u=u, v=v))
    [report] = run("verify", forged).document
    assert report["evidence"]["hidden_mark"]["payload"] is None
    assert report["verdict"] == "traces"


def test_the_html_report_is_written(run: Any, released: Any, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run("verify", released[0], "--report", page).status == 0
    text = page.read_text(encoding="utf-8")
    assert released[1]["release"]["payload"] in text
    assert "data:image/jpeg" in text


def test_a_trim_by_a_whole_period_is_not_taken_for_a_removed_mark(
    run: Any, tmp_path: Path, make_landscape: Any
) -> None:
    """The carrier repeats every 4 s, so it cannot tell such a trim; the fingerprint and the path do."""
    long, out, trimmed = make_landscape(tmp_path / "long.mp4", 9), tmp_path / "out.mp4", tmp_path / "cut.mp4"
    assert run("guard", long, "-o", out, "--policy", "marks-only").status == 0
    with open_clip(out, limits=LIMITS) as read, ClipWriter(trimmed, read.info, crf=20) as writer:
        for frame in read.frames():
            if frame.time >= 4:
                writer.write(frame)
    [report] = run("verify", trimmed).document
    assert report["verdict"] == "recovered"
    assert report["flags"] == []
    assert report["evidence"]["visible_mark"]["verdict"] == "present"


def test_a_covered_visible_mark_is_flagged(run: Any, home: Path, make_landscape: Any, tmp_path: Path) -> None:
    """The plates are replaced by the unmarked picture; the hidden mark around them stays.

    Six seconds, because the large label of the first two is much of what a smooth picture of three shows: on
    one path in seventy what is left is too far from the release for its fingerprint to call it the same.
    """
    from pipeline.keyring import load_keyring
    from watermark.visible import VisibleLayout

    clip, target, covered = (
        make_landscape(tmp_path / "six.mp4", 6),
        tmp_path / "out.mp4",
        tmp_path / "covered.mp4",
    )
    document = run("guard", clip, "-o", target, "--policy", "marks-only").document
    key, payload = load_keyring(home / "keys").current.visible, int(document["release"]["payload"], 16)
    variant = run("verify", target).document[0]["evidence"]["visible_mark"]["variant"]
    layout = VisibleLayout(key, payload, variant, 480, 272)
    with (
        open_clip(target, limits=LIMITS) as marked,
        open_clip(clip, limits=LIMITS) as original,
        ClipWriter(covered, marked.info, crf=20) as writer,
    ):
        for ours, theirs in zip(marked.frames(), original.frames(), strict=True):
            for x0, y0, x1, y1 in layout.boxes(ours.time):
                ours.y[y0:y1, x0:x1] = theirs.y[y0:y1, x0:x1]
                half = np.s_[y0 // 2 : (y1 + 1) // 2, x0 // 2 : (x1 + 1) // 2]
                ours.u[half], ours.v[half] = theirs.u[half], theirs.v[half]
            writer.write(ours)
    answer = run("verify", covered)
    assert answer.document[0]["verdict"] == "recovered"
    assert (answer.status, answer.document[0]["flags"]) == (1, ["visible-mark-removed"])
    line = answer.document[0]["evidence"]["visible_mark"]
    assert (line["state"], line["verdict"], line["removed"][0][0]) == ("absent", "removed", 0.0)
    assert line["hole"] > 0


def test_a_clip_with_a_broken_credential_is_refused_before_any_work(
    run: Any, released: Any, tmp_path: Path
) -> None:
    """Our own release with one byte changed comes back: signing over it would make it look whole."""
    content = bytearray(released[0].read_bytes())
    content[len(content) // 2] ^= 1
    tampered, out = tmp_path / "tampered.mp4", tmp_path / "again.mp4"
    tampered.write_bytes(content)
    answer = run("guard", tampered, "-o", out, "--policy", "marks-only")
    assert (answer.status, answer.document["error"]["code"]) == (1, "refused")
    assert not out.exists()


def test_a_release_that_is_guarded_again_keeps_its_credential(
    run: Any, released: Any, tmp_path: Path
) -> None:
    out = tmp_path / "again.mp4"
    answer = run("guard", released[0], "-o", out, "--policy", "marks-only")
    assert answer.status == 0, answer.words
    [report] = run("verify", out).document
    assert report["verdict"] == "intact"
    assert report["release"]["id"] == answer.document["release"]["id"]
    assert report["evidence"]["credential"]["ingredients"] == 1
