"""Commands as a user runs them, with what they cost: wall and processor seconds, and memory over time."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from resource import struct_rusage
from typing import IO, Final

from benchmarks.common import ROOT

COUNTERMARK: Final = (sys.executable, "-m", "pipeline.cli.main")
PROC: Final = Path("/proc")
PAGE_MIB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20
KIB_PER_MIB: Final = 1024
STDERR_KEPT: Final = 2000


class CommandFailed(Exception):
    """A command ended with another exit code than it should have; the text has the end of its stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that has ended.

    `seconds`: wall time from start to end. `cpu_seconds`: of it and all its children. `peak_mib`: the
    largest resident memory of any single one of its processes.
    """

    status: int
    output: str
    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Resident memory (MiB) of one process at `at` seconds after the command began."""

    at: float
    pid: int
    role: str
    mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A finished command and the memory of its processes while it ran."""

    finished: Finished
    samples: tuple[Sample, ...] = field(repr=False)


def run(command: Sequence[str], *, allowed: Sequence[int] = (0,)) -> Finished:
    """Run to the end in the source checkout. Raises: CommandFailed for a status not in `allowed`."""
    return watch(command, every=0.0, allowed=allowed).finished


def watch(command: Sequence[str], *, every: float, allowed: Sequence[int] = (0,)) -> Watched:
    """Run to the end and look at its memory each `every` seconds (0: never). Raises: CommandFailed."""
    samples: list[Sample] = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=ROOT)
        try:
            status, usage = _wait(child.pid, began, every, samples)
        except BaseException:
            child.kill()
            child.wait()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        if child.returncode not in allowed:
            raise CommandFailed(f"{' '.join(command)} ended with {child.returncode}: {_text(err)}")
        finished = Finished(
            status=child.returncode, output=_text(out, whole=True), seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime, peak_mib=usage.ru_maxrss / KIB_PER_MIB,
        )  # fmt: skip
    return Watched(finished=finished, samples=tuple(samples))


def _wait(pid: int, began: float, every: float, samples: list[Sample]) -> tuple[int, struct_rusage]:
    """Wait for `pid` with its resource usage; wait4 is the only call that tells the children's too."""
    while every:
        samples += [
            Sample(at=time.monotonic() - began, pid=member, role=role, mib=mib)
            for member, role, mib in _family(pid)
        ]
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage
        time.sleep(every)
    _, status, usage = os.wait4(pid, 0)
    return status, usage


def _family(root: int) -> list[tuple[int, str, float]]:
    """(pid, role, resident MiB) of `root` and its descendants."""
    parents: dict[int, int] = {}
    for entry in PROC.glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked
    members = [root]
    for member in members:
        members += [pid for pid, parent in parents.items() if parent == member]
    found = [(pid, _role(pid, root), _resident(pid)) for pid in members]
    return [entry for entry in found if entry[2] > 0]


def _role(pid: int, root: int) -> str:
    """What a process of ours is for: a sandbox child's task is the argument after its program."""
    if pid == root:
        return "main"
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    after = words.index("-c") + 2 if "-c" in words else 0
    return words[after] if 0 < after < len(words) else Path(words[0]).name


def _resident(pid: int) -> float:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE_MIB
    except (OSError, IndexError):
        return 0.0


def _text(file: IO[bytes], *, whole: bool = False) -> str:
    file.seek(0)
    text = file.read().decode(errors="replace")
    return text if whole else text[-STDERR_KEPT:]
