"""The form of every result: rows with an interval and conditions, one document, one commit.

The interval of a rate is its 95 % Wilson score interval; that of a figure measured `n` times runs from
the smallest to the largest value. A figure measured once has n = 1 and an interval of no width, which
says nothing about its spread.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
VIDEO_SUFFIXES: Final = (".mp4", ".mov", ".webm", ".mkv", ".gif")
Z_95: Final = 1.959964  # quantile of the normal distribution, two-sided 95 %
DIGITS: Final = 6

Conditions = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `interval`: see the module; `conditions`: clip, size, attack and so on."""

    metric: str
    value: float
    unit: str
    n: int
    interval: tuple[float, float]
    conditions: Conditions = field(default_factory=dict)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a rate (Wilson 1927). Raises: ValueError unless 0 ≤ successes ≤ trials > 0."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is not a rate")
    share, z2 = successes / trials, Z_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return low, high


def rate(metric: str, successes: int, trials: int, conditions: Conditions | None = None) -> Row:
    """A share of trials."""
    return Row(
        metric=metric, value=successes / trials, unit="share", n=trials, interval=wilson(successes, trials),
        conditions=conditions or {},
    )  # fmt: skip


def median(metric: str, values: Sequence[float], unit: str, conditions: Conditions | None = None) -> Row:
    """The median of what was measured several times; raises ValueError for nothing."""
    if not values:
        raise ValueError(f"{metric}: nothing was measured")
    return Row(
        metric=metric, value=statistics.median(values), unit=unit, n=len(values),
        interval=(min(values), max(values)), conditions=conditions or {},
    )  # fmt: skip


def mean(metric: str, values: Sequence[float], unit: str, conditions: Conditions | None = None) -> Row:
    """The mean over clips; the interval is smallest to largest, so the worst clip can be read off."""
    row = median(metric, values, unit, conditions)
    return Row(
        metric=metric, value=statistics.fmean(values), unit=unit, n=row.n, interval=row.interval,
        conditions=row.conditions,
    )  # fmt: skip


def once(metric: str, value: float, unit: str, conditions: Conditions | None = None) -> Row:
    """A figure that was measured once."""
    return median(metric, [value], unit, conditions)


def machine() -> list[Row]:
    """What the figures were taken on: processors we may use, and how busy the machine is right now."""
    return [
        once("processors", len(os.sched_getaffinity(0)), "count"),
        once("load average", os.getloadavg()[0], "runnable processes"),
    ]


def commit() -> str:
    """The commit of this checkout, with "-dirty" when tracked files differ from it; "unknown" without git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def options(description: str | None, *, clips: bool) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    if clips:
        parser.add_argument("--clips", type=folder_of_clips, required=True, help="folder of video files")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return parser


def folder_of_clips(name: str) -> list[Path]:
    """The video files of a folder, by name. Raises: argparse.ArgumentTypeError when there are none."""
    folder = Path(name).absolute()
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise argparse.ArgumentTypeError(f"{folder} has no file ending in {', '.join(VIDEO_SUFFIXES)}")
    return found


def whole(least: int) -> Any:
    """A type for argparse: a whole number of at least `least`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return parse


def document(suite: str, rows: Sequence[Row], at_commit: str) -> dict[str, Any]:
    """The JSON document of a benchmark, numbers rounded to `DIGITS` significant digits."""
    return {"suite": suite, "commit": at_commit, "rows": [_rounded(asdict(row)) for row in rows]}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value


def present(suite: str, rows: Sequence[Row], at_commit: str, *, as_json: bool) -> None:
    """Print the result: one JSON document, or a line for each row."""
    if as_json:
        print(json.dumps(document(suite, rows, at_commit), ensure_ascii=False, indent=1))
        return
    for row in rows:
        told = ", ".join(f"{key} {value}" for key, value in row.conditions.items())
        low, high = row.interval
        print(f"{row.metric}: {row.value:.4g} {row.unit} [{low:.4g}, {high:.4g}] n={row.n}  {told}")


def say(text: str) -> None:
    """A line of progress for a person, on stderr, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
