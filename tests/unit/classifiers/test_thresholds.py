"""Calibrations: read back as written, found by space, refused when damaged or missing."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifiers import thresholds
from classifiers.errors import CalibrationMissing, CalibrationUnusable
from classifiers.thresholds import (
    FACE_PORTRAIT,
    FRAME_PICTURE,
    Bin,
    Calibration,
    Layer,
    Reliability,
    dump,
    load,
    parse,
)

SPACE = "clip-0123456789abcdef"


def calibration(space: str = SPACE) -> Calibration:
    cohort = np.eye(3, 8, dtype=np.float32)
    return Calibration(
        space=space, version=3, made={"command": "by hand", "date": "2026-01-01"},
        layers={FRAME_PICTURE: Layer(threshold=0.8, slope=20.0, intercept=-16.0)},
        numbers={"support_weight": 0.25}, cohort=cohort,
    )  # fmt: skip


def test_read_back() -> None:
    told = parse(dump(calibration()), SPACE)
    assert (told.space, told.version, told.made, told.layers, told.numbers) == (
        SPACE,
        3,
        {"command": "by hand", "date": "2026-01-01"},
        calibration().layers,
        {"support_weight": 0.25},
    )
    np.testing.assert_array_equal(told.cohort, calibration().cohort)
    assert not len(told.whitening)


def test_whitening_is_read_back_or_refused() -> None:
    made = replace(calibration(), whitening=np.eye(9, 8, dtype=np.float32))
    np.testing.assert_array_equal(parse(dump(made), SPACE).whitening, made.whitening)
    with pytest.raises(CalibrationUnusable):
        parse(dump(replace(made, whitening=made.whitening[:8])), SPACE)


def test_probability() -> None:
    layer = calibration().layer(FRAME_PICTURE)
    assert layer.probability(0.8) == pytest.approx(0.5)
    assert 0.98 < layer.probability(1.0) < 1
    assert 0 < layer.probability(-1e9) < 0.01 < 0.99 < layer.probability(1e9) <= 1


def test_a_layer_that_was_not_measured() -> None:
    with pytest.raises(CalibrationMissing, match="says nothing about face_portrait"):
        calibration().layer(FACE_PORTRAIT)


def test_a_folder_comes_before_what_ships(tmp_path: Path) -> None:
    (tmp_path / thresholds.file_name(SPACE)).write_bytes(dump(calibration()))
    assert load(SPACE, [tmp_path / "none", tmp_path]).version == 3


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CalibrationMissing, match="no calibration of clip-0"):
        load(SPACE, [tmp_path])


@pytest.mark.parametrize("space", ["", "../clip", "a/b", "clip\0", "ключ"])
def test_no_space(space: str) -> None:
    with pytest.raises(CalibrationMissing):
        load(space)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "countermark-calibration/2"},
        {"space": "clip-other"},
        {"layers": {FRAME_PICTURE: {"threshold": "nan", "slope": 1, "intercept": 0}}},
        {"layers": {FRAME_PICTURE: {"threshold": float("nan"), "slope": 1, "intercept": 0}}},
        {"layers": []},
        {"numbers": {"a": True}},
        {"cohort": {"count": 2, "dimension": 8, "float16": "AAAA"}},
        {"cohort": {"count": 1, "dimension": 1, "float16": "AHw="}},
        {"cohort": {"count": 10**9, "dimension": 8, "float16": ""}},
        {"cohort": {"count": 1, "dimension": 1, "float16": "?"}},
    ],
)
def test_damaged(tmp_path: Path, change: dict[str, object]) -> None:
    document = json.loads(dump(calibration())) | change
    (tmp_path / thresholds.file_name(SPACE)).write_text(json.dumps(document))
    with pytest.raises(CalibrationUnusable):
        load(SPACE, [tmp_path])


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_no_document(document: bytes) -> None:
    with pytest.raises(CalibrationUnusable):
        parse(document, SPACE)


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "MAX_BYTES", 10)
    (tmp_path / thresholds.file_name(SPACE)).write_bytes(dump(calibration()))
    with pytest.raises(CalibrationUnusable, match="larger"):
        load(SPACE, [tmp_path])


def test_every_calibration_that_ships_can_be_read() -> None:
    folder = Path(thresholds.__file__).parent / "calibrations"
    files = sorted(folder.glob("*.json"))
    assert files
    for file in files:
        told = load(file.stem)
        assert told.layers
        assert {"command", "date", "data"} <= set(told.made)


def measured() -> Reliability:
    one = Bin(low=0.9, count=12, weight=0.5, probability=0.95, share=0.9)
    return Reliability(own=12, strangers=100, found=11, passed=1, ece=0.02, brier=0.03, bins=(one,))


def test_figures_are_read_back() -> None:
    told = parse(dump(replace(calibration(), reliability={FRAME_PICTURE: measured()})), SPACE)
    assert told.reliability == {FRAME_PICTURE: measured()}


@pytest.mark.parametrize(
    "change", [{"ece": float("nan")}, {"bins": [{}]}, {"bins": [{}] * 1000}, {"own": None}, {"brier": "0.1"}]
)
def test_damaged_figures(change: dict[str, object]) -> None:
    document = json.loads(dump(replace(calibration(), reliability={FRAME_PICTURE: measured()})))
    document["reliability"][FRAME_PICTURE] |= change
    with pytest.raises(CalibrationUnusable):
        parse(json.dumps(document).encode(), SPACE)


def test_its_mark_names_space_version_and_file() -> None:
    told = parse(dump(calibration()), SPACE)
    assert told.digest == hashlib.sha256(dump(calibration())).hexdigest()
    assert told.mark == f"{SPACE}/3/{told.digest[:16]}"
    other = parse(dump(replace(calibration(), version=4)), SPACE)
    assert other.mark != told.mark
