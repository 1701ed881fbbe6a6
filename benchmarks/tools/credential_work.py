"""Signing and reading in a process of its own, for its time and its memory.

`python -m benchmarks.tools.credential_work WHAT FOLDER FILE ROUNDS` prints one JSON document: seconds of each
round by step, wall and processor, and the largest resident memory of any process. FOLDER holds the PKI;
signing writes ``signed.mp4`` beside FILE.
"""

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.trials.witnesses import Desk
from pipeline.credentials.child import read_open_file
from pipeline.credentials.read import read_credential
from pipeline.sandbox import ProcessLimits

KIB_PER_MIB: Final = 1024
LIMITS: Final = ProcessLimits(memory_mib=4096, cpu_seconds=300, wall_seconds=300)
Timed = dict[str, tuple[float, float]]


def sign(desk: Desk, clip: Path) -> Timed:
    """The whole of `sign_clip`, and apart from it what reading back, hashing and writing through cost."""
    target = clip.with_name(f"signed-{os.getpid()}.mp4")
    steps = {"sign": _seconds(lambda: desk.sign(clip, target))}
    with target.open("rb") as file:
        steps["of it: read back"] = _seconds(lambda: read_open_file(file, desk.pki.trust))
        file.seek(0)
        steps["of it: digest of the file"] = _seconds(lambda: hashlib.file_digest(file, "sha256"))
    target.replace(clip.with_name("signed.mp4"))
    return steps


def read(desk: Desk, clip: Path) -> Timed:
    """Reading in this process, as the sandbox child does it. Raises: SystemExit where it is not whole."""
    with clip.open("rb") as file:
        found = []
        seconds = _seconds(lambda: found.append(read_open_file(file, desk.pki.trust)))
    if not found[0].intact:
        raise SystemExit(f"{clip.name} does not read as intact: {found[0].failures}")
    return {"read": seconds}


def verify(desk: Desk, clip: Path) -> Timed:
    """Reading through the sandbox: a process begins and ends for each file."""
    return {"verify": _seconds(lambda: read_credential(clip, desk.pki.trust, limits=LIMITS))}


def both(desk: Desk, clip: Path) -> Timed:
    """Sign, then read what was signed."""
    target = clip.with_name(f"both-{os.getpid()}.mp4")
    seconds = _seconds(lambda: (desk.sign(clip, target), read(desk, target)))
    target.unlink()
    return {"both": seconds}


WHAT: Final[dict[str, Callable[[Desk, Path], Timed]]] = {
    "sign": sign, "read": read, "verify": verify, "both": both,
}  # fmt: skip


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds, the latter of this process and of children that ended."""
    began, spent = time.perf_counter(), _processor()
    work()
    return time.perf_counter() - began, _processor() - spent


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    """The command."""
    what, folder, clip, rounds = sys.argv[1:]
    desk = Desk(Path(folder))
    before = _peak()
    told: dict[str, Any] = {"rounds": [WHAT[what](desk, Path(clip)) for _ in range(int(rounds))]}
    print(json.dumps(told | {"peak_mib": _peak(), "start_mib": before}))
    return 0


def _peak() -> float:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in both) / KIB_PER_MIB


if __name__ == "__main__":
    raise SystemExit(main())
