"""The visible mark's line: removal is flagged, and a trim is never taken for one."""

from collections.abc import Callable
from fractions import Fraction

import cv2
import numpy as np
import pytest

from pipeline.credentials.fingerprint import QUERY, Alignment, alignments, fingerprint
from pipeline.credentials.moments import Taker
from pipeline.media.types import ClipInfo
from pipeline.types import EvidenceState
from pipeline.verify.observe import Observation
from pipeline.verify.visible import look, whole_periods
from watermark.base import Geometry, TimedLuma
from watermark.keys import DetectionKey
from watermark.visible import VisibleMark

WIDTH, HEIGHT, RATE = 480, 270, 10
KEY = DetectionKey(epoch=1, secret=bytes(range(32)))
PAYLOAD, VARIANT = 0x1234, 3
MARK = {
    "variant": VARIANT,
    "width": WIDTH,
    "height": HEIGHT,
    "label": "AI-generated",
    "handle": "countermark",
}
HERE = Geometry()

Clip = list[TimedLuma]


def pen() -> VisibleMark:
    return VisibleMark(KEY.visible, PAYLOAD, VARIANT, WIDTH, HEIGHT)


def still(seconds: float) -> Clip:
    """A still scene with a little noise: nothing but the plates tells one time from another."""
    rng = np.random.default_rng(2)
    base = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 25)
    base = 120 + 50 * base / base.std()
    return [
        TimedLuma(n / RATE, np.clip(base + rng.normal(0, 2, base.shape), 16, 235).astype(np.uint8))
        for n in range(round(seconds * RATE))
    ]


def marked(clip: Clip) -> Clip:
    mark, chroma = pen(), np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    drawn = [TimedLuma(time, luma.copy()) for time, luma in clip]
    for time, luma in drawn:
        mark.draw(luma, chroma.copy(), chroma.copy(), time)
    return drawn


def painted(clip: Clip) -> Clip:
    """The clip with both plates painted out."""
    mark, done = pen(), []
    for time, luma in clip:
        hole = np.zeros(luma.shape, np.uint8)
        for x0, y0, x1, y1 in mark.boxes(time):
            hole[y0:y1, x0:x1] = 255
        done.append(TimedLuma(time, cv2.inpaint(luma, hole, 3, cv2.INPAINT_TELEA)))
    return done


def trimmed(clip: Clip, start: float) -> Clip:
    return [TimedLuma(time - start, luma) for time, luma in clip if time >= start - 1e-6]


def alignments_of(clip: Clip, release: Clip) -> tuple[Alignment, ...]:
    return alignments(fingerprint(clip, QUERY), fingerprint(release))


def judged(clip: Clip, aligned: tuple[Alignment, ...], geometry: Geometry | None = HERE) -> tuple[str, bool]:
    info = ClipInfo(
        width=WIDTH, height=HEIGHT, time_base=Fraction(1, RATE), frame_rate=Fraction(RATE),
    )  # fmt: skip
    seen = Observation(
        info=info,
        detection=None,
        fingerprint=fingerprint(clip, QUERY),
        moments=Taker().finish(),
        kept=tuple(clip),
        strip=(),
    )
    found = look(seen, geometry, KEY, PAYLOAD, MARK, alignments=aligned)
    return found.evidence.state, found.removed


@pytest.fixture(scope="module")
def scene() -> Clip:
    return still(9)


@pytest.fixture(scope="module")
def release(scene: Clip) -> Clip:
    return marked(scene)


def near(offset: float, distance: float = 0.1, *, mirrored: bool = False) -> Alignment:
    return Alignment(distance=distance, offset=offset, step=0.125, mirrored=mirrored)


def test_the_release_itself(release: Clip) -> None:
    assert judged(release, alignments_of(release, release)) == (EvidenceState.FOUND, False)


@pytest.mark.parametrize("change", [painted, lambda clip: clip])
@pytest.mark.parametrize("seconds", [2.5, 9])
def test_a_removed_mark_is_flagged_in_a_still_scene(
    scene: Clip, release: Clip, change: Callable[[Clip], Clip], seconds: float
) -> None:
    """Painted out of the release, or as if it had never been there."""
    source = scene if change is not painted else release
    clip = change([frame for frame in source if frame.time < seconds])
    whole = [frame for frame in release if frame.time < seconds]
    assert judged(clip, alignments_of(clip, whole)) == (EvidenceState.ABSENT, True)


@pytest.mark.parametrize("offset", [-1.25, 1.5, 3.0])
def test_an_offset_that_the_carrier_excludes_hides_no_removal(scene: Clip, offset: float) -> None:
    """Without plates, noise decides which alignment of a still scene is the best."""
    clip = [frame for frame in scene if frame.time < 3]
    assert judged(clip, (near(offset, 0.16), near(0.0, 0.17))) == (EvidenceState.ABSENT, True)


@pytest.mark.parametrize("start", [0.1, 0.2, 0.3])
def test_a_small_trim_is_no_removal(release: Clip, start: float) -> None:
    """The carrier does not notice it."""
    clip = [frame for frame in trimmed(release, start) if frame.time < 2]
    assert judged(clip, ()) == (EvidenceState.FOUND, False)


@pytest.mark.parametrize("start", [4.0, 4.2])
def test_a_trim_by_a_period_is_no_removal(release: Clip, start: float) -> None:
    """The carrier repeats every 4 s, so it says that nothing was trimmed."""
    clip = trimmed(release, start)
    assert judged(clip, alignments_of(clip, release)) == (EvidenceState.NOT_CHECKED, False)


def test_a_removal_is_flagged_also_after_a_trim_by_a_period(release: Clip) -> None:
    clip = trimmed(painted(release), 4)
    assert judged(clip, (near(4.0), near(0.0, 0.3))) == (EvidenceState.ABSENT, True)


def test_other_trims_and_crops_are_not_checked(release: Clip) -> None:
    clip, here = trimmed(release, 2), alignments_of(release, release)
    for geometry in (Geometry(time_offset=2.0), Geometry(scale=1.2), Geometry(shift=(0.1, 0.0))):
        assert judged(clip, here, geometry) == (EvidenceState.NOT_CHECKED, False)
    assert judged(clip, (near(2.0),), None) == (EvidenceState.NOT_CHECKED, False)


def test_a_mirrored_clip_is_followed_mirrored(release: Clip) -> None:
    clip = [TimedLuma(time, np.ascontiguousarray(luma[:, ::-1])) for time, luma in release[:30]]
    assert judged(clip, (), Geometry(mirrored=True)) == (EvidenceState.FOUND, False)


def test_which_trims_by_periods_are_possible() -> None:
    assert whole_periods((), mirrored=False) == ()
    assert whole_periods((near(0.0), near(4.0, 0.3)), mirrored=False) == ()
    assert whole_periods((near(0.0), near(-3.75, 0.12), near(8.25, 0.14)), mirrored=False) == (-4.0, 8.0)
    assert whole_periods((near(4.0), near(0.0)), mirrored=True) == ()
    assert whole_periods((near(4.0, mirrored=True),), mirrored=True) == (4.0,)
    coarse = Alignment(distance=0.1, offset=40.0, step=4.0, mirrored=False)
    assert whole_periods((coarse,), mirrored=False) == (36.0, 40.0, 44.0)
    many = tuple(near(4.0 * count) for count in range(20))
    assert whole_periods(many, mirrored=False) == (4.0, 8.0, 12.0, 16.0)
