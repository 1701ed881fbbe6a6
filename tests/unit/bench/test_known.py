"""Our search asked for one message: its score is proved, and high where the product cannot accept yet."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks.trials.known import PLACEMENTS, KnownMessageDetector
from benchmarks.trials.schemes import FOREIGN, KNOWN, detection_key, scheme_of
from watermark.base import Picture
from watermark.carrier import HiddenMark, Strength
from watermark.detector import SHARES
from watermark.issued import Issued

PAYLOAD = 0x4123_4567_89AB_CDEF
SIDE, RATE, COUNT = 256, 12.0, 20


def noise(seed: int = 1) -> Iterator[Picture]:
    random = np.random.default_rng(seed)
    for index in range(COUNT):
        y, u, v = (
            random.normal(128, 25, (side, side)).clip(0, 255).astype(np.uint8)
            for side in (SIDE, SIDE // 2, SIDE // 2)
        )
        yield Picture(index / RATE, y, u, v)


def marked(psnr: float) -> Iterator[Picture]:
    mark = HiddenMark(detection_key(0), PAYLOAD, SIDE, SIDE, Strength(psnr=psnr))
    return (mark.embed(picture) for picture in noise())


def surety(pictures: Iterator[Picture], *, key: int = 0, message: int = PAYLOAD) -> tuple[bool, float]:
    detector = KnownMessageDetector(
        detection_key(key), lambda _message: True, Issued([FOREIGN]), message=message
    )
    found = detector.detect(pictures)
    return found.payload is not None, detector.surety


def test_what_is_accepted_is_surer_than_the_acceptance() -> None:
    accepted, score = surety(marked(36.0))
    assert accepted
    assert score > 9


def test_a_mark_too_weak_to_be_accepted_has_a_score() -> None:
    accepted, score = surety(marked(63.5))
    assert not accepted  # it is on no list
    assert score > 3


@pytest.mark.parametrize("seed", range(4))
def test_nothing_elsewhere(seed: int) -> None:
    assert surety(noise(seed))[1] < 3
    assert surety(marked(36.0), key=seed + 1)[1] < 3


def test_every_placement_is_counted() -> None:
    per_part = [round(1 / share) for share in SHARES]
    assert per_part[0] // 2 + per_part[1] // 4 + per_part[2] // 4 == PLACEMENTS


def test_the_scheme_is_the_products_mark() -> None:
    known, plain = scheme_of(KNOWN, None), scheme_of("countermark", None)
    assert known.payload(3) == plain.payload(3)
    assert known.fingerprint() != plain.fingerprint()
