"""The visible mark's line: removal is flagged, and a trim is never taken for one."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.credentials.fingerprint import QUERY, Alignment, alignments, fingerprint
from pipeline.credentials.moments import Taker
from pipeline.media.types import ClipInfo
from pipeline.types import EvidenceState
from pipeline.verify.observe import Observation
from pipeline.verify.visible import (
    look,
    look_without_payload,
    look_without_release,
    whole_periods,
    would_keep,
)
from watermark.base import Geometry, Picture, TimedLuma
from watermark.carrier import HiddenMark, Strength
from watermark.keys import DetectionKey
from watermark.removal import Verdict
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

GOOD = ClipInfo(
    width=640, height=360, time_base=Fraction(1, RATE), frame_rate=Fraction(RATE), duration=4.0,
    size_bytes=100_000,
)  # fmt: skip

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


def labelled(clip: Clip) -> Clip:
    """With the visible mark."""
    mark, chroma = pen(), np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    drawn = [TimedLuma(time, luma.copy()) for time, luma in clip]
    for time, luma in drawn:
        mark.draw(luma, chroma.copy(), chroma.copy(), time)
    return drawn


def hidden(clip: Clip) -> Clip:
    """With the hidden mark."""
    mark = HiddenMark(KEY, PAYLOAD, WIDTH, HEIGHT, Strength(psnr=40.0))
    return [TimedLuma(time, mark.embed(Picture(time, luma)).y) for time, luma in clip]


def marked(clip: Clip) -> Clip:
    """With both, as a release."""
    return hidden(labelled(clip))


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


def observed(clip: Clip) -> Observation:
    info = ClipInfo(
        width=WIDTH, height=HEIGHT, time_base=Fraction(1, RATE), frame_rate=Fraction(RATE),
    )  # fmt: skip
    strip = ((0.5, b"a"), (1.5, b"b"))
    return Observation(
        info=info,
        detection=None,
        fingerprint=fingerprint(clip, QUERY),
        moments=Taker().finish(),
        kept=tuple(clip),
        strip=strip,
    )


def judged(clip: Clip, aligned: tuple[Alignment, ...], geometry: Geometry | None = HERE) -> tuple[str, bool]:
    found = look(observed(clip), geometry, KEY, PAYLOAD, MARK, alignments=aligned)
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


@pytest.mark.parametrize("change", [painted, hidden])
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
    clip = hidden([frame for frame in scene if frame.time < 3])
    assert judged(clip, (near(offset, 0.16), near(0.0, 0.17))) == (EvidenceState.ABSENT, True)


@pytest.mark.parametrize("start", [0.1, 0.2, 0.3])
def test_a_small_trim_is_no_removal(release: Clip, start: float) -> None:
    """The carrier does not notice it."""
    clip = [frame for frame in trimmed(release, start) if frame.time < 2]
    assert judged(clip, ()) == (EvidenceState.FOUND, False)


@pytest.mark.parametrize("start", [4.0, 4.2])
def test_a_trim_by_a_period_is_no_removal(release: Clip, start: float) -> None:
    """The carrier repeats every 4 s, so it says that nothing was trimmed; the path is found all the same."""
    clip = trimmed(release, start)
    assert judged(clip, alignments_of(clip, release)) == (EvidenceState.FOUND, False)


def test_a_removal_is_flagged_also_after_a_trim_by_a_period(release: Clip) -> None:
    clip = trimmed(painted(release), 4)
    assert judged(clip, (near(4.0), near(0.0, 0.3))) == (EvidenceState.ABSENT, True)


def test_other_trims_are_followed(release: Clip) -> None:
    clip, here = trimmed(release, 2), alignments_of(release, release)
    assert judged(clip, here, Geometry(time_offset=2.0)) == (EvidenceState.FOUND, False)


def test_what_cannot_be_followed_is_not_checked(release: Clip, scene: Clip) -> None:
    clip = hidden([frame for frame in scene if frame.time < 3])
    for geometry in (Geometry(scale=1.2), Geometry(shift=(0.1, 0.0))):
        assert judged(clip, (), geometry) == (EvidenceState.NOT_CHECKED, False)
    assert judged(trimmed(release, 2), (near(2.0),), None) == (EvidenceState.NOT_CHECKED, False)


def test_without_the_hidden_mark_a_credential_accuses_nobody(release: Clip, scene: Clip) -> None:
    """Our credential can be put on any pictures: what they do not show was not removed from them."""
    assert judged(scene[:30], (), None) == (EvidenceState.NOT_CHECKED, False)
    assert judged(release[:30], (), None) == (EvidenceState.FOUND, False)


def test_a_mirrored_clip_is_followed_mirrored(release: Clip) -> None:
    """Its pattern begins where the frame of the release ends."""
    clip = [TimedLuma(time, np.ascontiguousarray(luma[:, ::-1])) for time, luma in release[:30]]
    geometry = Geometry(mirrored=True, shift=(-WIDTH / HEIGHT % 0.5, 0.0))
    assert judged(clip, (), geometry) == (EvidenceState.FOUND, False)


def test_a_crop_is_followed_and_so_is_what_is_drawn(release: Clip) -> None:
    clip = [TimedLuma(time, np.ascontiguousarray(luma[27:243, 48:432])) for time, luma in release[:40]]
    geometry = Geometry(scale=1.25, shift=(-48 / 270 % 0.5, -27 / 270 % 0.5))
    found = look(observed(clip), geometry, KEY, PAYLOAD, MARK, alignments=())
    assert found.evidence.found["verdict"] == Verdict.PRESENT
    layout = pen()
    wanted = [
        ((x0 - 48) / 384, (y0 - 27) / 216, (x1 - 48) / 384, (y1 - 27) / 216)
        for x0, y0, x1, y1 in layout.boxes(0.5)
    ]
    shown = [box for box in wanted if box[2] > 0 and box[3] > 0 and box[0] < 1 and box[1] < 1]
    assert shown
    assert found.strip[0].boxes == pytest.approx(np.array(shown), abs=0.01)


def test_the_report_tells_what_the_marks_say(release: Clip, scene: Clip) -> None:
    """Verdict, times and boxes, in the words of each case."""
    whole = look(observed(release[:40]), HERE, KEY, PAYLOAD, MARK, alignments=()).evidence
    assert whole.found["verdict"] == "present"
    assert "at its place" in whole.summary
    gone = look(observed(painted(release[:40])), HERE, KEY, PAYLOAD, MARK, alignments=())
    assert gone.removed
    told = gone.evidence.found
    assert told["verdict"] == "removed"
    assert told["removed"] == [[0.0, 3.9]]
    places: Any = told["places"]
    assert [place["time"] for place in places] == [0.0, 1.0, 2.0, 3.0]
    first = pen().boxes(0.0)[0]
    assert places[0]["label"] == pytest.approx([first[0] / WIDTH, first[1] / HEIGHT, first[2] / WIDTH,
                                                first[3] / HEIGHT], abs=1e-3)  # fmt: skip
    assert "removed or covered" in gone.evidence.summary
    assert "hole" in gone.evidence.summary
    part = painted(release[:40])[:20] + release[20:40]
    said = look(observed(part), HERE, KEY, PAYLOAD, MARK, alignments=())
    assert said.removed
    assert "Part of the moving mark is missing" in said.evidence.summary


def test_without_a_payload(release: Clip, scene: Clip) -> None:
    """A label without a hidden mark, neither of them, and a hidden mark that cannot be read."""
    texts = ("AI-generated", "countermark")
    bad = observed(labelled(scene[:40]))
    lost = look_without_payload(bad, KEY, texts, hidden=False)
    assert (lost.forged, lost.evidence.found) == (False, {"verdict": "not checked"} | lost.evidence.found)
    assert "destroyed" in lost.evidence.summary
    good = replace(bad, info=GOOD)
    forged = look_without_payload(good, KEY, texts, hidden=False)
    assert (forged.forged, forged.removed) == (True, False)
    assert forged.evidence.found["verdict"] == "forged label"
    assert forged.evidence.found["places"]
    nothing = look_without_payload(observed(scene[:40]), KEY, texts, hidden=False)
    assert nothing.evidence.found == {"verdict": "none"}
    assert nothing.evidence.state == EvidenceState.ABSENT
    weak = look_without_payload(observed(release[:40]), KEY, texts, hidden=True)
    assert weak.evidence.found == {"verdict": "not checked"}
    assert weak.evidence.state == EvidenceState.NOT_CHECKED


def test_what_would_have_kept_its_hidden_mark() -> None:
    assert would_keep(GOOD)
    for worse in ({"duration": 3.0}, {"duration": None}, {"height": 240}, {"size_bytes": 10_000},
                  {"frame_rate": None}):  # fmt: skip
        assert not would_keep(replace(GOOD, **worse))


def test_without_a_release_the_path_is_found_among_all_variants(release: Clip, scene: Clip) -> None:
    texts = ("AI-generated", "countermark")
    found = look_without_release(observed(release[:40]), HERE, KEY, PAYLOAD, texts)
    assert (found.evidence.state, found.evidence.found["variant"]) == (EvidenceState.FOUND, VARIANT)
    said = look_without_release(observed(hidden(scene[:40])), HERE, KEY, PAYLOAD, texts)
    assert (said.evidence.state, said.removed) == (EvidenceState.NOT_CHECKED, False)


@pytest.mark.parametrize(
    "mark", [None, {}, MARK | {"variant": 99}, MARK | {"width": 10**9}, MARK | {"label": ""}]
)
def test_a_credential_that_does_not_say_how_it_was_drawn(release: Clip, mark: Any) -> None:
    found = look(observed(release[:40]), HERE, KEY, PAYLOAD, mark, alignments=())
    assert (found.evidence.state, found.evidence.found) == ("not_checked", {"verdict": "not checked"})


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
