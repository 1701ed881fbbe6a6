"""Many files side by side: order, a process that is killed, one bad file, an interruption."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import Settings
from pipeline.types import EvidenceState, FileVerdict
from pipeline.verify.examining import Wanted
from pipeline.verify.many import Desk, _end, _spawn, examine_many

COUNT = 4
MAIN = "import sys; from pipeline.cli.main import main; sys.argv = ['countermark', *sys.argv[1:]]; main()"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> list[Path]:
    """Tiny clips, and a file that is none, as the second."""
    folder = tmp_path_factory.mktemp("many")
    made = [make_clip(folder / f"{place}.mp4", 96, 64, 8, 8, seed=place) for place in range(COUNT)]
    made[1].write_bytes(b"this is no video")
    return made


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """No home, so no keys: the hidden mark is not looked for, which is quick."""
    return Desk(settings=Settings(home=tmp_path / "none"), bundle=None, wanted=Wanted(digest=True))


def test_a_killed_process_takes_one_file_along(clips: list[Path], desk: Desk) -> None:
    told: list[int] = []

    def first_dies() -> None:
        told.append(len(told))
        if len(told) == 1:
            for child in multiprocessing.active_children():
                child.kill()

    found = list(examine_many(desk, clips, jobs=2, told=first_dies))
    assert [Path(one.report.file) for one in found] == clips  # in order, whoever was done first
    assert len(told) == COUNT
    lost = [one for one in found if any("died" in note for note in one.report.notes)]
    assert 1 <= len(lost) <= 2  # both processes were killed; one of them may have had no file
    for one in found:
        if one in lost:
            assert one.report.verdict is FileVerdict.INCONCLUSIVE
            assert {line.state for line in one.report.evidence.values()} == {EvidenceState.FAILED}
            assert one.file is None
        else:
            bad = one.report.file == str(clips[1])
            assert one.report.verdict is (FileVerdict.UNREADABLE if bad else FileVerdict.INCONCLUSIVE)
            assert bool(one.report.media) is not bad
            assert one.file is not None
            assert one.file.size == Path(one.report.file).stat().st_size
    assert not multiprocessing.active_children()


def test_a_process_never_sees_an_interruption(desk: Desk) -> None:
    """Not even while it starts, before any line of ours has run in it."""
    worker = _spawn(desk)
    try:
        fields = dict(
            line.split(":\t") for line in Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
        )
        assert int(fields["SigBlk"], 16) >> (signal.SIGINT - 1) & 1
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        _end([worker])


def all_gone(group: int) -> bool:
    """Whether nobody of a process group is left; who has died may be there until init has seen it."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def lines(run: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert run.stdout is not None
    for line in run.stdout:
        yield json.loads(line)


def test_an_interruption_gives_what_there_is(clips: list[Path], tmp_path: Path) -> None:
    page, statements = tmp_path / "page.html", tmp_path / "signed.json"
    told = ["--jsonl", "--jobs", "2", "--report", str(page), "--signed", str(statements)]
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-c", MAIN, "verify", *map(str, clips), "--home", str(tmp_path / "none")]
    with subprocess.Popen(
        [*command, *told], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=kept,
        start_new_session=True, cwd=Path(__file__).parents[3],
    ) as run:  # fmt: skip
        try:
            answers = lines(run)
            first = next(answers)
            os.killpg(run.pid, signal.SIGINT)  # as a terminal does: everybody gets it
            found = [first, *answers]
            assert run.stderr is not None
            words = run.stderr.read()
            assert run.wait(60) == 130, words
        finally:
            run.kill()
    assert all_gone(run.pid)
    assert "Traceback" not in words
    assert f"Broken off: {len(found)} of {COUNT} files were verified" in words
    assert 1 <= len(found) < COUNT
    assert [one["file"] for one in found] == [str(path) for path in clips[: len(found)]]
    assert f"Broken off: {len(found)} of {COUNT} files checked" in page.read_text()
    assert len(statements.read_text().splitlines()) == len(found)
