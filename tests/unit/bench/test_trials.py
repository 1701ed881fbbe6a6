"""Cells of marks under attack: what is kept, what is tried again, and what the figures say of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks import watermark
from benchmarks.attacks.catalog import CORE, SUITE
from benchmarks.attacks.footage import Footage, Frame
from benchmarks.common import Row
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.trials import cells, figures, goals, material, quality, running, schemes
from benchmarks.trials.cells import QUALITY, Base, Cell, Store
from benchmarks.trials.running import Order
from benchmarks.trials.schemes import SCHEMES, Countermark

ROOT = Path(__file__).resolve().parents[3]
WIDTH, HEIGHT, RATE = 256, 192, 12.0
GRADIENTS = {"scheme": "countermark", "strength": 42.0}


def pictures(count: int, seed: int = 1) -> Iterator[np.ndarray[Any, Any]]:
    """RGB frames of a smooth texture under a moving camera."""
    random = np.random.default_rng(seed)
    texture = np.zeros((2 * HEIGHT, 2 * WIDTH), np.float32)
    for scale in (4, 8, 16, 32):
        grid = random.standard_normal((2 * HEIGHT // scale, 2 * WIDTH // scale)).astype(np.float32)
        texture += cv2.resize(grid, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC) * scale**0.5
    grey = np.clip(120 + 30 * texture / texture.std(), 0, 255).astype(np.uint8)
    for index in range(count):
        cut = grey[index : index + HEIGHT, 2 * index : 2 * index + WIDTH]
        yield np.repeat(cut[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip of six seconds."""
    clips = tmp_path_factory.mktemp("clips")
    write_clip(pictures(72), clips / "pan.mp4", RATE, 12)
    return clips


@pytest.fixture(scope="module")
def source(folder: Path) -> material.Source:
    return material.real([folder / "pan.mp4"])[0]


def order(*attacks: str, **other: Any) -> Order:
    return Order(**(GRADIENTS | {"attacks": attacks, "sizes": ("native",)} | other))


def tried(
    wanted: Order, source: material.Source, store: Path, deadline: float | None = None
) -> running.Outcome:
    return running.run(running.tasks(wanted, [source], store, deadline), 1, lambda _line: None)


def one(found: list[Row], metric: str, **conditions: Any) -> Row:
    return next(row for row in found if row.metric == metric and conditions.items() <= row.conditions.items())


def test_the_identity_row_is_read_and_only_with_a_mark(source: material.Source, tmp_path: Path) -> None:
    outcome = tried(order("none", kinds=("marked", "unmarked")), source, tmp_path)
    assert not outcome.failed
    rows = figures.rows(outcome.results)
    told = {"attack": "none", "size": "native", "material": "real"}
    assert one(rows, "payload exact", **told).value == 1
    assert one(rows, "payload wrong", **told).value == 0
    assert one(rows, "payload accepted without a mark", **told).value == 0
    assert {row.n for row in rows if row.metric == "payload exact"} == {1}


def test_what_is_kept_is_not_tried_again(source: material.Source, tmp_path: Path) -> None:
    first = tried(order("none"), source, tmp_path)
    again = tried(order("none", "flip"), source, tmp_path)
    assert (first.fresh, again.fresh) == (1, 1)
    assert len(again.results) == 2
    assert first.results[0] in again.results


def test_a_broken_file_is_tried_again(source: material.Source, tmp_path: Path) -> None:
    tried(order("none"), source, tmp_path)
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{")
    assert tried(order("none"), source, tmp_path).fresh == 1


def test_a_run_that_is_killed_goes_on_where_it_stood(folder: Path, tmp_path: Path) -> None:
    names = ["none", "flip", "turn_90", "h264_23", "h264_30", "jpeg_40", "resize_0.71", "hue_0.25", "logo"]
    command = [
        sys.executable, "-m", "benchmarks.watermark", "--clips", str(folder), "--rendered", "0",
        "--jobs", "1", "--sizes", "native", "--no-quality", "--cells", str(tmp_path), "--json",
        "--attacks", *names,
    ]  # fmt: skip
    scratch = tmp_path / "scratch"  # a process that is killed leaves its scratch files behind
    scratch.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    begun = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while len(list(tmp_path.rglob("*.json"))) < 2 and time.monotonic() < until and begun.poll() is None:
        time.sleep(0.02)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    assert 2 <= len(kept) < len(names)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert len(list(tmp_path.rglob("*.json"))) == len(names)
    assert f"{len(kept)} kept, {len(names) - len(kept)} new" in done.stderr
    document = json.loads(done.stdout)
    assert next(row for row in document["rows"] if row["metric"] == "cells")["value"] == len(names)


def test_the_time_limit_leaves_cells_for_later(source: material.Source, tmp_path: Path) -> None:
    outcome = tried(order("none", "flip"), source, tmp_path, deadline=time.monotonic())
    assert (outcome.fresh, outcome.left) == (0, 2)


@pytest.mark.soak
def test_two_processes_give_what_one_gives(source: material.Source, tmp_path: Path) -> None:
    wanted = order("flip", keys=2)
    alone = tried(wanted, source, tmp_path / "one")
    work = running.tasks(wanted, [source], tmp_path / "two", None)
    together = running.run(work, 2, lambda _line: None)

    def comparable(outcome: running.Outcome) -> list[Any]:
        return sorted(
            (result["digest"], result["payload"], round(result["score"], 3), result["size"])
            for result in outcome.results  # sums differ in their last digits with the number of threads
        )

    assert comparable(alone) == comparable(together)
    assert len(alone.results) == 2


def test_seeds_are_for_chance_only(source: material.Source, tmp_path: Path) -> None:
    task = running.tasks(order("flip", "crop_0.71", seeds=3), [source], tmp_path, None)[0]
    assert [name for name, _ in running._named(task)] == ["flip", "crop_0.71", "crop_0.71", "crop_0.71"]
    assert running.chance_of("crop_0.71", 0) != running.chance_of("crop_0.71", 1)
    assert running.chance_of("crop_0.71", 0) != running.chance_of("crop_0.55", 0)
    assert running.chance_of("crop_0.71", 0) == running.chance_of("crop_0.71+h264_26", 0)


def test_a_failure_is_told_and_not_kept(
    source: material.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Countermark):
        def detect(self, *_arguments: Any, **_named: Any) -> schemes.Reading:
            raise RuntimeError("the reader fell over")

    monkeypatch.setitem(SCHEMES, "broken", lambda decibels, _weights: Broken(decibels))
    outcome = tried(order("none", scheme="broken"), source, tmp_path)
    assert len(outcome.failed) == 1
    assert "the reader fell over" in outcome.failed[0]
    assert not outcome.results
    assert not list(tmp_path.rglob("*.json"))


def test_an_attack_that_does_not_apply_is_kept_as_such(source: material.Source, tmp_path: Path) -> None:
    outcome = tried(order("fps_24"), source, tmp_path)
    assert outcome.results[0]["state"] == running.CANNOT
    rows = figures.rows(outcome.results)
    assert one(rows, "attack does not apply", attack="fps_24").value == 1
    assert not [row for row in rows if row.metric == "payload exact"]


def test_anything_that_can_change_a_result_changes_its_name() -> None:
    base = Base(clip="c", name="a.mp4", material="real", size="480p", start=0.0, key=0)
    cell = Cell(base=base, attack="crop_0.71", seed=0)
    work = cells.attack_digest(SUITE["crop_0.71"])
    name = cells.digest(cell, Countermark(), work, visible=False)
    others = [
        (replace(cell, seed=1), Countermark(), work),
        (replace(cell, base=replace(base, clip="d")), Countermark(), work),
        (replace(cell, base=replace(base, start=1.0)), Countermark(), work),
        (replace(cell, base=replace(base, size="256p")), Countermark(), work),
        (replace(cell, base=replace(base, key=1)), Countermark(), work),
        (replace(cell, base=replace(base, kind="unmarked")), Countermark(), work),
        (cell, Countermark(44.0), work),
        (cell, Countermark(), cells.attack_digest(SUITE["crop_0.55"])),
    ]
    assert name not in {cells.digest(*other, visible=False) for other in others}
    assert len({cells.digest(*other, visible=False) for other in others}) == len(others)
    # A file's name says nothing about its pixels.
    assert (
        cells.digest(replace(cell, base=replace(base, name="b.mp4")), Countermark(), work, visible=False)
        == name
    )


def test_the_code_of_the_marks_is_part_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "code.py").write_text("a = 1\n")
    monkeypatch.setattr(schemes, "ROOT", tmp_path)
    before = schemes.tree_digest.__wrapped__("some")
    (tmp_path / "some" / "code.py").write_text("a = 2\n")
    assert schemes.tree_digest.__wrapped__("some") != before


def test_a_store_is_whole_or_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cell = Cell(
        base=Base(clip="c", name="n", material="real", size="480p", start=0, key=0), attack="flip", seed=0
    )
    assert store.get("ab12") is None
    kept = store.put("ab12", cell, {"state": "done"})
    assert store.get("ab12") == kept
    assert not list(tmp_path.rglob("*.partial"))


def test_windows_are_spread_over_a_clip(source: material.Source) -> None:
    assert material.starts(source, material.SIZES["480p"], 3) == [0.0, 0.5, 1.0]
    assert material.starts(replace(source, seconds=5.2), material.SIZES["480p"], 3) == [0.0]
    assert material.starts(source, material.SIZES["native"], 3) == [0.0]


def test_a_window_has_its_size_and_begins_at_zero(source: material.Source, tmp_path: Path) -> None:
    cut = material.window(source, material.SIZES["256p"], 1.5, tmp_path / "raw")
    frames = list(cut.play())
    assert (cut.width, cut.height) == (342, 256)
    assert frames[0].time == 0
    assert len(frames) == 48  # four seconds
    assert cut.seconds == pytest.approx(4.0)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, cut.play(), strict=True))


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(material.NoMaterial, match=r"broken\.mp4: .*leave it out of the folder"):
        material.real([tmp_path / "broken.mp4"])


def test_rendered_clips_need_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "RENDERED_SIZE", (128, 112))
    monkeypatch.setattr(material, "RENDERED_SECONDS", 0.5)
    first, second = material.rendered(2, tmp_path)
    assert first.material == material.RENDERED
    assert first.digest != second.digest
    changed = first.path.stat().st_mtime_ns
    assert material.rendered(1, tmp_path) == [first]
    assert first.path.stat().st_mtime_ns == changed


def test_a_goal_is_met_by_the_lower_end_of_the_interval() -> None:
    assert goals.reached(0.9, 5, 5) == goals.NOT_SHOWN
    assert goals.reached(0.9, 35, 35) == goals.MET
    assert goals.reached(0.9, 8, 10) == goals.MISSED
    assert goals.reached(1.0, 380, 380) == goals.NOT_SHOWN
    assert goals.reached(1.0, 381, 381) == goals.MET
    assert goals.reached(1.0, 380, 381) == goals.MISSED
    assert goals.stayed_under(0.001, 0, 300) == goals.NOT_SHOWN
    assert goals.stayed_under(0.001, 0, 4000) == goals.MET
    assert goals.stayed_under(0.001, 5, 300) == goals.MISSED


def test_goals_are_of_attacks_and_sizes_that_exist() -> None:
    assert set(goals.PAYLOAD) | set(goals.PRESENCE) <= set(SUITE)
    assert {size for by in goals.PAYLOAD.values() for size in by} <= set(material.SIZES)
    assert goals.goal("crop_0.71+h264_26", "480p") == goals.goal("crop_0.71", "480p") == 0.97
    assert all(goals.goal(name, "480p") for name in CORE)


def result(payload: str, seconds: float = 5.0, **cell: Any) -> dict[str, Any]:
    base = {"name": "a", "material": "real", "size": "480p", "start": 0.0, "key": 0, "kind": "marked"}
    base |= {key: value for key, value in cell.items() if key in base}
    return {
        "cell": {"base": base, "attack": cell.get("attack", "none"), "seed": 0}, "state": "done",
        "payload": payload, "present": payload != "none", "score": 9.0, "removed": cell.get("removed"),
        "clip_seconds": seconds, "seconds": {"prepare": 0.0, "attack": 1.0, "detect": 2.0},
    }  # fmt: skip


def test_rates_keep_real_and_rendered_long_and_short_apart() -> None:
    found = figures.rows([
        result("exact"), result("wrong"), result("none"), result("exact", material="rendered"),
        result("exact", seconds=2.0),
    ])  # fmt: skip
    exact = one(found, "payload exact", material="real", length="full")
    assert (exact.value, exact.n) == (pytest.approx(1 / 3), 3)
    assert exact.conditions["reached"] == goals.MISSED
    assert one(found, "payload wrong", material="real", length="full").value == pytest.approx(1 / 3)
    assert one(found, "mark present", material="real", length="full").value == pytest.approx(2 / 3)
    assert one(found, "payload exact", material="rendered").n == 1
    assert one(found, "payload exact", length="shorter").n == 1
    assert one(found, "goals missed", material="real", length="full").value == 1


def test_removal_is_judged_by_what_was_done() -> None:
    found = figures.rows([
        result("exact", attack="inpaint_telea", removed=True),
        result("exact", attack="visible", removed=True),
    ])  # fmt: skip
    assert one(found, "removal of the visible mark noticed").conditions["reached"] == goals.NOT_SHOWN
    mistaken = one(found, "removal of the visible mark claimed by mistake")
    assert (mistaken.value, mistaken.conditions["reached"]) == (1, goals.MISSED)


def test_painting_over_is_noticed_and_the_payload_stays(source: material.Source, tmp_path: Path) -> None:
    outcome = tried(order("visible", "inpaint_telea", sizes=("256p",)), source, tmp_path)
    assert not outcome.failed
    by = {one["cell"]["attack"]: one for one in outcome.results}
    assert [by[name]["payload"] for name in ("visible", "inpaint_telea")] == ["exact", "exact"]
    assert [by[name]["details"]["visible"] for name in ("visible", "inpaint_telea")] == ["present", "removed"]
    assert [by[name]["removed"] for name in ("visible", "inpaint_telea")] == [False, True]


def test_what_a_mark_costs_the_picture(source: material.Source, tmp_path: Path) -> None:
    assert quality.can_measure()
    outcome = tried(order(quality=True), source, tmp_path)
    assert not outcome.failed
    measured = outcome.results[0]["figures"]
    assert measured["psnr"] == pytest.approx(42, abs=0.3)
    assert 0.9 < measured["ssim"] < 1
    assert measured["flicker"] > 0
    assert measured["vmaf plain"] > measured["vmaf plain"] - measured["vmaf loss"] > 50
    assert measured["bitrate"] > 0
    assert outcome.results[0]["cell"]["attack"] == QUALITY
    rows = figures.rows(outcome.results)
    assert one(rows, "bitrate, mean").conditions["goal"] == goals.BITRATE


def test_similarity_and_flicker_of_known_pictures() -> None:
    random = np.random.default_rng(1)
    plane = random.integers(0, 256, (64, 64)).astype(np.uint8)
    assert quality.ssim(plane, plane) == pytest.approx(1)
    assert quality.ssim(plane, 255 - plane) < 0
    still, fading, jumping = quality.Flicker(), quality.Flicker(), quality.Flicker()
    for index in range(9):
        still.add(np.full((4, 4), 7, np.float32))
        fading.add(np.full((4, 4), index, np.float32))
        jumping.add(np.full((4, 4), index % 2, np.float32))
    assert (still.value, fading.value, jumping.value) == (0, 0, 2)


def test_the_mark_itself_is_repeatable() -> None:
    def play() -> Iterator[Frame]:
        return (Frame(index / RATE, np.full((288, 192), 90, np.uint8)) for index in range(6))

    film = Footage(width=192, height=192, rate=RATE, seconds=0.5, play=play)
    made = [list(Countermark(44.0).embed(film, 1).footage.play()) for _ in range(2)]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(*made, strict=True))
    assert Countermark().payload(1) != Countermark().payload(2)


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["watermark", *arguments])
    return watermark.main()


def test_a_folder_that_is_not_there_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells_ = ["--cells", str(tmp_path / "cells")]
    assert ended(monkeypatch, "--clips", str(tmp_path / "away"), *cells_) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert ended(monkeypatch, "--clips", str(tmp_path), *cells_) == 2
    assert "has no file ending in" in capsys.readouterr().err
    assert ended(monkeypatch, "--rendered", "0", *cells_) == 2
    assert "nothing to try: name a folder with --clips DIR" in capsys.readouterr().err


def test_an_unknown_attack_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ended(monkeypatch, "--attacks", "nonsense")
    assert "no attack 'nonsense'; --list shows all" in capsys.readouterr().err


def test_the_list_names_every_attack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "--list") == 0
    listed = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(SUITE)


def test_a_scheme_that_is_not_here_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, told in (("nonsense", "no scheme 'nonsense'; choose from"), ("trustmark", "trustmark=FOLDER")):
        with pytest.raises(SystemExit):
            ended(monkeypatch, "--scheme", name)
        assert told in capsys.readouterr().err
