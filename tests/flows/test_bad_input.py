"""Bad input: one clear sentence, the right exit code, no traceback, database and files as they were."""

import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GUARD = ("--policy", "marks-only", "--audio", "accept")


def count(home: Path, table: str) -> int:
    path = home / "registry.db"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as db:
        return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def one_sentence(words: str) -> str:
    """The line that says what went wrong."""
    lines = [line for line in words.splitlines() if line.startswith("countermark: ")]
    assert len(lines) == 1, words
    return lines[0]


def unreadable(folder: Path, make_clip: Any) -> dict[str, Path]:
    whole = make_clip(folder / "whole.mp4", 160, 112, 24, 12)
    content = whole.read_bytes()
    cases = {
        "zero": b"", "text": b"just words\n" * 50, "truncated": content[: len(content) // 2],
        "no index": content[:200], "picture": b"\x89PNG\r\n\x1a\n" + bytes(64), "noise": os.urandom(5000),
    }  # fmt: skip
    made = {}
    for name, data in cases.items():
        made[name] = folder / f"{name}.mp4"
        made[name].write_bytes(data)
    made["folder"] = folder
    made["missing"] = folder / "missing.mp4"
    return made


def test_what_is_no_video_is_refused_and_leaves_nothing(
    run: Any, home: Path, tmp_path: Path, make_clip: Any
) -> None:
    run("keys", "init")
    for name, path in unreadable(tmp_path, make_clip).items():
        out = tmp_path / "out.mp4"
        answer = run("guard", path, "-o", out, *GUARD)
        assert answer.status == 3, (name, answer)
        assert answer.document["error"]["code"] in ("media_unreadable", "media_unsupported"), name
        one_sentence(answer.words)
        assert not out.exists(), name
        answer = run("verify", path)
        assert (answer.status, answer.document[0]["verdict"]) == (3, "unreadable"), name
    assert count(home, "release") == 0
    assert count(home, "payload_counter") == 1  # its one row, never drawn from
    staging = home / "files" / "staging"
    assert not any(staging.iterdir())


def test_sound_alone_is_no_video(run: Any, tmp_path: Path) -> None:
    import av
    import numpy as np

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", 48_000, layout="mono")
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        wave.sample_rate = 48_000
        container.mux(stream.encode(wave))
        container.mux(stream.encode(None))
    answer = run("guard", path, *GUARD)
    assert answer.status == 3
    assert "video" in one_sentence(answer.words)


def test_one_frame_cannot_carry_a_readable_mark_and_is_held(run: Any, tmp_path: Path, make_clip: Any) -> None:
    single = make_clip(tmp_path / "single.mp4", 320, 240, 1, 12)
    answer = run("guard", single, "-o", tmp_path / "out.mp4", *GUARD)
    assert (answer.status, answer.document["release"]) == (1, None)
    [reason] = answer.document["decision"]["reasons"]
    assert reason["code"] == "hidden_mark_missed"
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("times", [[0], [0, 1, 2], [0, 156, 312]])  # in twelfths of a second
def test_a_hidden_mark_that_cannot_be_looked_for_is_not_said_to_be_absent(
    run: Any, tmp_path: Path, make_clip: Any, times: list[int]
) -> None:
    run("keys", "init")
    clip = make_clip(tmp_path / "some.mp4", 640, 368, len(times), 12, pts=times)
    answer = run("verify", clip)
    [report] = answer.document
    assert (answer.status, report["verdict"]) == (3, "inconclusive"), report
    states = [report["evidence"][line]["state"] for line in ("credential", "hidden_mark", "visible_mark")]
    assert states == ["absent", "not_checked", "not_checked"]


def test_a_tiny_clip_is_refused_with_the_size_it_needs(run: Any, tmp_path: Path, make_clip: Any) -> None:
    tiny = make_clip(tmp_path / "tiny.mp4", 64, 64, 12, 12)
    answer = run("guard", tiny, *GUARD)
    assert (answer.status, answer.document["error"]["code"]) == (3, "media_unsupported")
    assert "64" in one_sentence(answer.words)


def test_odd_sides_are_padded_and_it_is_said(run: Any, tmp_path: Path, make_clip: Any) -> None:
    from pipeline.media.reader import open_clip
    from pipeline.media.types import MediaLimits

    odd = make_clip(tmp_path / "odd.mkv", 321, 241, 36, 12, codec="mpeg4", pix_fmt="yuv420p")
    out = tmp_path / "out.mp4"
    answer = run("guard", odd, "-o", out, *GUARD)
    if answer.status == 1:  # too little picture for the mark: then nothing may be out
        assert not out.exists()
        return
    with open_clip(out, limits=MediaLimits()) as read:
        assert (read.info.width, read.info.height) == (322, 242)


@pytest.mark.parametrize("name", ["-dash.mp4", "line\nfeed.mp4", "bell\a\x1b[31m.mp4", "sp ace é.mp4"])
def test_strange_names_work_and_cannot_reach_the_terminal(
    run: Any, home: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    clip.rename(tmp_path / name)
    answer = run("guard", *GUARD, "-o", "out.mp4", "--", name)
    assert answer.status == 0, answer.words
    assert "\x1b" not in answer.words
    assert "\a" not in answer.words
    answer = run("verify", "--", name)
    assert (answer.status, answer.document[0]["verdict"]) == (0, "none")
    assert "\x1b" not in answer.words


def test_output_traps(run: Any, clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    taken, link = tmp_path / "taken.mp4", tmp_path / "link.mp4"
    taken.write_bytes(b"something of value")
    link.symlink_to(taken)
    same = tmp_path / "hard.mp4"
    same.hardlink_to(clip)
    for out in (clip, same, taken, link, tmp_path, tmp_path / "no" / "where.mp4"):
        answer = run("guard", clip, "-o", out, *GUARD)
        assert (answer.status, answer.document["error"]["code"]) == (2, "usage"), out
        one_sentence(answer.words)
    assert clip.read_bytes() == before
    assert taken.read_bytes() == b"something of value"
    assert link.is_symlink()


def test_a_report_never_overwrites(run: Any, clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    link = tmp_path / "page.html"
    link.symlink_to(tmp_path / "elsewhere.html")
    for report in (clip, link, tmp_path):
        answer = run("verify", clip, "--report", report)
        assert (answer.status, answer.document["error"]["code"]) == (2, "usage"), report
    assert clip.read_bytes() == before


def test_a_thin_clip_gets_its_report(run: Any, tmp_path: Path, make_clip: Any) -> None:
    run("keys", "init")
    thin = make_clip(tmp_path / "thin.mp4", 640, 2, 6, 12)
    answer = run("verify", thin, "--report", tmp_path / "page.html")
    assert (answer.status, answer.document[0]["verdict"]) == (0, "none"), answer


def test_names_that_are_no_text(run: Any, home: Path, clip: Path, tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    answer = run("guard", clip, "-o", strange, *GUARD)
    assert (answer.status, Path(answer.document["release"]["file"])) == (0, strange)
    assert run("verify", strange).document[0]["verdict"] == "intact"
    answer = run("guard", strange, "-o", tmp_path / "out.mp4", *GUARD)
    assert (answer.status, answer.document["error"]["code"]) == (2, "usage")
    assert "UTF-8" in one_sentence(answer.words)


def test_a_registry_that_fails_is_not_silence(run: Any, home: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert run("guard", clip, "-o", out, *GUARD).status == 0
    [manifest] = [path for path in (home / "files" / "manifests").rglob("*") if path.is_file()]
    manifest.unlink()
    with sqlite3.connect(home / "registry.db") as db:
        db.execute("DROP TRIGGER log_entry_kept")
        db.execute("DROP TRIGGER log_entry_fixed")
        db.execute("UPDATE log_entry SET entry = replace(entry, 'marks-only', 'marks-ONLY')")
    db.close()
    [report] = run("verify", out).document
    assert (report["verdict"], report["evidence"]["log"]["state"]) == ("intact", "failed")
    assert run("verify", out).status == 1


def test_a_linked_input_is_followed(run: Any, clip: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    assert run("guard", link, "-o", tmp_path / "out.mp4", *GUARD).status == 0


def test_keys_that_others_can_read_are_refused(run: Any, home: Path, clip: Path) -> None:
    run("keys", "init")
    for name in ("marks.json", "pki/claim_leaf.pem"):
        path = home / "keys" / name
        path.chmod(0o640)
        for command in (("guard", clip, *GUARD), ("verify", clip)):
            answer = run(*command)
            assert (answer.status, answer.document["error"]["code"]) == (3, "keys_unusable")
            assert "chmod 600" in one_sentence(answer.words)
        path.chmod(0o600)
    (home / "keys" / "marks.json").write_text("{")
    assert "damaged" in one_sentence(run("verify", clip).words)


def test_a_newer_database_is_left_alone(run: Any, home: Path, clip: Path) -> None:
    run("guard", clip, *GUARD)
    with sqlite3.connect(home / "registry.db") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999_future'")
    db.close()
    before = (home / "registry.db").read_bytes()
    answer = run("guard", clip, *GUARD)
    assert (answer.status, answer.document["error"]["code"]) == (3, "registry_schema_newer")
    one_sentence(answer.words)
    assert (home / "registry.db").read_bytes() == before


def test_a_home_that_is_a_file_or_a_foreign_database(run: Any, home: Path, clip: Path) -> None:
    home.write_text("not a folder")
    answer = run("guard", clip, *GUARD)
    assert (answer.status, answer.document["error"]["code"]) == (3, "home_unusable")
    home.unlink()
    home.mkdir()
    (home / "registry.db").write_bytes(b"no database at all, but quite long" * 200)
    answer = run("guard", clip, *GUARD)
    assert answer.status == 3
    one_sentence(answer.words)
    assert (home / "registry.db").read_bytes().startswith(b"no database")


def test_two_processes_make_a_home_at_once(home: Path, clip: Path, tmp_path: Path) -> None:
    commands = [
        [sys.executable, "-m", "pipeline.cli.main", "guard", str(clip), "-o", str(tmp_path / f"{n}.mp4"),
         "--json", "--home", str(home), *GUARD, "--prompt", str(n)]
        for n in range(3)
    ]  # fmt: skip
    running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for c in commands]
    answers = [process.communicate(timeout=200) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], answers
    made = [json.loads(out)["release"] for out, _ in answers]
    assert len({release["id"] for release in made}) == 3
    assert len({release["payload"] for release in made}) == 3


def releases(home: Path) -> int:
    """How many there are; the disk may have been full before there was a table."""
    with contextlib.suppress(sqlite3.OperationalError):
        return count(home, "release")
    return 0


@pytest.mark.parametrize("kib", [40, 300, 700])
def test_a_full_disk_loses_nothing(run: Any, home: Path, clip: Path, tmp_path: Path, kib: int) -> None:
    run("keys", "init")
    out = tmp_path / "out.mp4"

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kib * 1024, kib * 1024))

    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "guard", str(clip), "-o", str(out), "--home", str(home),
         "--json", *GUARD],
        check=False, capture_output=True, text=True, preexec_fn=small_disk,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    one_sentence(done.stderr)
    assert not out.exists()
    assert releases(home) == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    answer = run("guard", clip, "-o", out, *GUARD)
    assert answer.status == 0, answer.words
    assert count(home, "release") == 1


def test_unknown_settings_are_refused(
    run: Any, home: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERMARK_MAX_BYTE", "5")
    answer = run("verify", clip)
    assert (answer.status, answer.document["error"]["code"]) == (2, "usage")
    assert "max_byte" in one_sentence(answer.words)
    monkeypatch.delenv("COUNTERMARK_MAX_BYTE")
    home.mkdir()
    (home / "settings.toml").write_text("max_bytes = 100\n")
    answer = run("guard", clip, *GUARD)
    assert answer.status == 3
    assert "100" in one_sentence(answer.words)


def test_limits_are_kept(run: Any, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MAX_FRAMES", "5"), ("MAX_SECONDS", "0.5"), ("MAX_PIXELS", "1000")):
        monkeypatch.setenv(f"COUNTERMARK_{name}", value)
        answer = run("guard", clip, *GUARD)
        assert (answer.status, answer.document["error"]["code"]) == (3, "limit_exceeded"), name
        monkeypatch.delenv(f"COUNTERMARK_{name}")


def test_usage_errors_are_two(run: Any, clip: Path) -> None:
    assert run("guard", clip, "--policy", "nonsense").status == 2
    assert run("guard", as_json=False).status == 2
    assert run("nonsense", as_json=False).status == 2
    assert run("verify", clip, "--trust", clip).status == 3
