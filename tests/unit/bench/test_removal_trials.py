"""Trials of what the marks say: each is kept by its own name, and the figures say what was seen."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks import removal
from benchmarks.common import Row
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.trials import material
from benchmarks.trials import removal as trials
from benchmarks.trials.material import Source
from benchmarks.trials.removal import UNTOUCHED, Order

ROOT = Path(__file__).resolve().parents[3]
WIDTH, HEIGHT, RATE = 320, 240, 10.0


def pictures(count: int) -> Iterator[np.ndarray[Any, Any]]:
    """A smooth texture under a moving camera."""
    random = np.random.default_rng(4)
    texture = np.zeros((2 * HEIGHT, 2 * WIDTH), np.float32)
    for scale in (4, 8, 16, 32):
        grid = random.standard_normal((2 * HEIGHT // scale, 2 * WIDTH // scale)).astype(np.float32)
        texture += cv2.resize(grid, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC) * scale**0.5
    grey = np.clip(120 + 30 * texture / texture.std(), 0, 255).astype(np.uint8)
    for index in range(count):
        yield np.repeat(grey[index : index + HEIGHT, 2 * index : 2 * index + WIDTH, None], 3, axis=2)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("clips") / "pan.mp4"
    write_clip(pictures(40), path, RATE, 12)
    return material.real([path])[0]


@pytest.mark.soak
def test_a_base_is_tried_once_and_told(source: Source, tmp_path: Path) -> None:
    order = Order(untouched=1, inpainted=1, unmarked=0, size="native", crfs=(23,))
    (task,) = trials.tasks(order, [source], tmp_path, None)
    results, left = trials.run([task], 1, lambda _line: None)
    assert (len(results), left) == (1 + len(trials.METHODS), 0)
    said = {one["method"]: one["readings"][0]["verdict"] for one in results}
    assert said == {UNTOUCHED: "present"} | dict.fromkeys(trials.METHODS, "removed")
    again, _ = trials.attempt(task)
    assert again == results  # seconds and all: nothing was tried anew
    (late,) = trials.tasks(order, [source], tmp_path / "other", deadline=0.0)
    assert trials.attempt(late) == ([], len(results))
    rows = removal.figures(results, {"figures": {"pan.mp4"}, "thresholds": set()})
    assert one(rows, "removal noticed", method="all but label only").value == 1
    assert one(rows, "removal claimed by mistake", marks="both", crf="all").value == 0


def one(rows: list[Row], metric: str, **conditions: Any) -> Row:
    return next(row for row in rows if row.metric == metric and conditions.items() <= row.conditions.items())


def reading(verdict: str, hole: float | None = None) -> dict[str, Any]:
    return {
        "verdict": verdict, "payload": verdict == "removed", "hole": hole or 0.0,
        "left": None if hole is None else 0.1, "elsewhere": -3.0,
    }  # fmt: skip


def result(method: str, *readings: dict[str, Any], name: str = "b", kind: str = "marked") -> dict[str, Any]:
    base = {"name": name, "material": "real", "kind": kind}
    return {"cell": {"base": base}, "method": method, "crf": 28, "readings": readings, "seconds": 1.0}


def test_figures_count_windows_and_keep_the_two_parts_apart() -> None:
    results = [
        result("box", reading("removed", 5.0)), result("box", reading("not checked", 1.0)),
        result("label only", reading("present")),
        result(UNTOUCHED, reading("present"), reading("removed"), reading("forged label")),
        result(UNTOUCHED, reading("none"), kind="unmarked"),
        result("box", reading("present"), name="a"),
    ]  # fmt: skip
    rows = removal.figures(results, {"figures": {"b"}, "thresholds": {"a"}})
    noticed = one(rows, "removal noticed", part="figures", method="all but label only")
    assert (noticed.value, noticed.n, noticed.conditions["reached"]) == (0.5, 2, "missed")
    assert one(rows, "removal noticed", part="thresholds", method="box", crf="all").value == 0
    assert one(rows, "said to be present although painted over", part="thresholds", method="box").value == 1
    assert one(rows, "removal noticed where the hidden mark was read", part="figures").value == 1
    claimed = one(rows, "removal claimed by mistake", marks="both or none")
    assert (claimed.value, claimed.n) == (0.25, 4)
    assert one(rows, "forged label claimed by mistake", marks="both", crf="all").n == 3
    assert one(rows, "hole over the threshold where boxes were filled").value == 0.5
    assert one(rows, "hole over the threshold along a wrong path").value == 0


def test_every_third_clip_is_for_thresholds() -> None:
    def clip(name: str, kind: str) -> Source:
        return Source(name=name, material=kind, path=Path(name), seconds=5.0, digest=name)

    parts = removal.split(
        [clip(name, kind) for kind in ("real", "rendered") for name in (kind + n for n in "abcd")]
    )
    assert parts["thresholds"] == {"reala", "reald", "rendereda", "renderedd"}
    assert len(parts["figures"]) == 4
