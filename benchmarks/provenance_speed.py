"""How fast clips are signed and read, how much memory that takes, and what more processes bring.

Clips are drawn once; larger ones have the same video track with random bytes behind its frames. Every figure
is of a fresh process. A time-stamp service on this machine is begun and ended within each signature, so
signing includes it. A file's bytes were just written, so it is read from memory, not from a disk.
"""

import json
import os
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import common
from benchmarks.common import Row, median, once
from benchmarks.tools import jumbf
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.tools.processes import run
from benchmarks.trials.witnesses import Desk

SUITE: Final = "provenance_speed"
SMALL_MB: Final = 2.3
LARGE_MB: Final = 200
MB: Final = 10**6
GOALS: Final = {"sign": 80.0, "read": 250.0}  # MB/s
FLAT: Final = 1.25  # peak memory of the largest clip over that of the one before, at most


def main() -> int:
    """The command."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    with tempfile.TemporaryDirectory(prefix="countermark-speed-") as name:
        folder = Path(name)
        Desk(folder)
        small = _clip(folder / "small", SMALL_MB)
        rows = [
            *measured, *_one_size(folder, small, asked.rounds, {"MB": SMALL_MB}),
            *_pool(folder, small, asked.files), *_large(folder, asked), *common.machine(),
        ]  # fmt: skip
    common.present(SUITE, rows, at_commit, as_json=asked.json)
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--rounds", type=common.whole(1), default=5)
    parser.add_argument(
        "--files", type=common.whole(1), default=30, help="of the small clip, for each process"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, LARGE_MB, 800], help="MB, for memory")
    return parser.parse_args()


def _clip(folder: Path, megabytes: float) -> Path:
    """A clip of that size: its mdat is filled up behind the last frame, so every offset still holds."""
    folder.mkdir()
    base, path = folder / "base.mp4", folder / "clip.mp4"
    random = np.random.default_rng(1)
    write_clip((random.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(16)), base, 8, 23)
    content = base.read_bytes()
    media = jumbf.box(content, "mdat")
    more = max(0, round(megabytes * MB) - len(content))
    with path.open("wb") as file:
        size = media.end - media.start + more
        file.write(content[: media.start] + size.to_bytes(4, "big") + content[media.start + 4 : media.end])
        while more:
            file.write(os.urandom(min(more, MB)))
            more -= min(more, MB)
        file.write(content[media.end :])
    return path


def _work(what: str, folder: Path, clip: Path, rounds: int) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.tools.credential_work",
        what,
        str(folder),
        str(clip),
        str(rounds),
    ]
    told: dict[str, Any] = json.loads(run(command).output)
    return told


def _one_size(folder: Path, clip: Path, rounds: int, told: dict[str, Any]) -> Iterator[Row]:
    megabytes = clip.stat().st_size / MB
    signed = clip.with_name("signed.mp4")
    for what, on in (("sign", clip), ("read", signed), ("verify", signed)):
        done = _work(what, folder, on, rounds)
        for step in done["rounds"][0]:
            seconds, spent = ([one[step][way] for one in done["rounds"]] for way in (0, 1))
            yield median(f"{step}, seconds", seconds, "s", told)
            yield median(f"{step}, processor seconds", spent, "s", told)
            if step in GOALS and megabytes >= LARGE_MB / 2:
                reached = median(f"{step}, MB/s", [megabytes / one for one in seconds], "MB/s")
                goal = {"goal": GOALS[step], "met": reached.value >= GOALS[step]}
                yield replace(reached, conditions={**told, **goal})
                each = [megabytes / one for one in spent]
                yield median(f"{step}, MB per processor second", each, "MB/s", told)
        yield once(
            f"peak memory, {what}", done["peak_mib"], "MiB", {**told, "at start": round(done["start_mib"])}
        )


def _pool(folder: Path, clip: Path, files: int) -> Iterator[Row]:
    rates = []
    for processes in (1, 2):
        began = time.perf_counter()
        with ThreadPoolExecutor(processes) as pool:
            done = list(pool.map(lambda _: _work("both", folder, clip, files), range(processes)))
        whole = time.perf_counter() - began
        spent = max(sum(one["both"][0] for one in part["rounds"]) for part in done)
        rates.append(processes * files / spent)
        told = {"processes": processes, "with the start of each": round(processes * files / whole, 2)}
        yield once("files signed and read", rates[-1], "1/s", told)
    yield once("two processes over one", rates[1] / rates[0], "ratio")


def _large(folder: Path, asked: Namespace) -> Iterator[Row]:
    peaks = []
    for megabytes in sorted(asked.sizes):
        clip = _clip(folder / f"of {megabytes}", megabytes)
        rounds = min(3, asked.rounds) if megabytes <= LARGE_MB else 1
        rows = list(_one_size(folder, clip, rounds, {"MB": megabytes}))
        yield from rows
        peaks.append(next(row.value for row in rows if row.metric == "peak memory, read"))
        for part in clip.parent.iterdir():
            part.unlink()
    if len(peaks) > 1:
        ratio = peaks[-1] / peaks[-2]
        yield once("peak memory of the largest over the next", ratio, "ratio", {"flat": ratio <= FLAT})


if __name__ == "__main__":
    raise SystemExit(main())
