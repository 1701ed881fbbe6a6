"""What the marks say about each other, on small clips that bear both, one, or neither of them."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from watermark import local_carrier, removal
from watermark.base import Geometry, Picture, TimedLuma
from watermark.carrier import HiddenMark, Strength
from watermark.framing import WHOLE
from watermark.keys import DetectionKey
from watermark.local_carrier import UNTOLD, LocalCarrier, PathHoles, fields, windows
from watermark.look_alike import goes_along, look_for
from watermark.removal import (
    HOLE,
    Reason,
    Verdict,
    by_credential,
    of_any,
    with_payload,
    without_payload,
)
from watermark.visible import VisibleLayout, VisibleMark
from watermark.visible_path import Plate

WIDTH, HEIGHT, SECONDS = 480, 320, 4.0
VARIANT = 3
HERE = Geometry()

Clip = list[TimedLuma]
Film = Callable[..., Iterator[Picture]]
Judge = Callable[..., removal.Testimony]


@pytest.fixture(scope="module")
def layout(key: DetectionKey, payload: int) -> VisibleLayout:
    return VisibleLayout(key.visible, payload, VARIANT, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def plain(film: Film) -> Clip:
    return [TimedLuma(frame.time, frame.y) for frame in film(SECONDS, WIDTH, HEIGHT)]


@pytest.fixture(scope="module")
def labelled(plain: Clip, key: DetectionKey, payload: int) -> Clip:
    """With the visible mark only."""
    return drawn(plain, VisibleMark(key.visible, payload, VARIANT, WIDTH, HEIGHT))


@pytest.fixture(scope="module")
def release(labelled: Clip, key: DetectionKey, payload: int, mark: Film) -> Clip:
    """With both marks, as a release has them."""
    return hidden_in(labelled, mark, key, payload)


def hidden_in(clip: Clip, mark: Film, key: DetectionKey, payload: int) -> Clip:
    """With the hidden mark in it, far stronger than in a release: what is tested is what is said of it."""
    marked = mark((Picture(time, luma) for time, luma in clip), key, payload, 40.0)
    return [TimedLuma(frame.time, frame.y) for frame in marked]


def drawn(clip: Clip, pen: VisibleMark) -> Clip:
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    done = [TimedLuma(time, luma.copy()) for time, luma in clip]
    for time, luma in done:
        pen.draw(luma, chroma.copy(), chroma.copy(), time)
    return done


def painted(
    clip: Clip, layout: VisibleLayout, plates: tuple[Plate, ...] = (Plate.LABEL, Plate.HANDLE),
    seconds: tuple[float, float] = (0.0, SECONDS),
) -> Clip:  # fmt: skip
    """With some plates inpainted in some seconds."""
    done = []
    for time, luma in clip:
        hole = np.zeros(luma.shape, np.uint8)
        if seconds[0] <= time < seconds[1]:
            for plate in plates:
                x0, y0, x1, y1 = layout.boxes(time)[plate]
                hole[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = 255
        done.append(TimedLuma(time, np.asarray(cv2.inpaint(luma, hole, 3, cv2.INPAINT_TELEA), np.uint8)))
    return done


def each(clip: Clip, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Clip:
    return [TimedLuma(time, np.ascontiguousarray(change(luma))) for time, luma in clip]


@pytest.fixture(scope="module")
def judge(layout: VisibleLayout, key: DetectionKey, payload: int) -> Judge:
    def judged(clip: Clip, geometry: Geometry = HERE) -> removal.Testimony:
        return with_payload(clip, layout, key, payload, geometry)

    return judged


def test_a_release_is_present(release: Clip, judge: Judge) -> None:
    said = judge(release)
    assert (said.verdict, said.removed, said.reason) == (Verdict.PRESENT, (), None)
    assert all(plate.evidence.state == "found" for plate in said.plates)


def test_a_painted_over_mark_is_removed_and_leaves_a_hole(
    release: Clip, layout: VisibleLayout, judge: Judge
) -> None:
    said = judge(painted(release, layout))
    assert (said.verdict, said.partly) == (Verdict.REMOVED, False)
    assert said.hole.evidence > HOLE
    assert said.hole.left is not None
    assert said.hole.left < 0.4
    assert said.removed[0][0] == 0.0
    assert said.removed[-1][1] == pytest.approx(release[-1].time)


@pytest.mark.parametrize("plate", Plate)
def test_one_plate_is_enough(release: Clip, layout: VisibleLayout, judge: Judge, plate: Plate) -> None:
    said = judge(painted(release, layout, (plate,)))
    assert (said.verdict, said.partly) == (Verdict.REMOVED, True)
    assert bool(said.plates[plate].removed)
    assert not said.plates[1 - plate].removed


def test_some_seconds_are_enough(release: Clip, layout: VisibleLayout, judge: Judge) -> None:
    said = judge(painted(release, layout, seconds=(2.0, SECONDS)))
    assert (said.verdict, said.partly) == (Verdict.REMOVED, True)
    assert said.removed[0][0] == pytest.approx(2.0, abs=0.1)
    assert all(plate.removed for plate in said.plates)


def test_pictures_without_a_plate_but_with_the_whole_hidden_mark(
    plain: Clip, key: DetectionKey, payload: int, mark: Film, judge: Judge
) -> None:
    """A plate whose mixing was undone leaves no hole: its absence from a certain path is enough."""
    said = judge(hidden_in(plain, mark, key, payload))
    assert said.verdict is Verdict.REMOVED
    assert said.hole.evidence < -HOLE


@pytest.mark.parametrize("name", ["crop", "flip", "turn"])
def test_moved_pictures_are_followed(release: Clip, layout: VisibleLayout, judge: Judge, name: str) -> None:
    """Present is found where it went, and a removal by the hole that went along."""
    change, geometry = MOVES[name]
    assert judge(each(release, change), geometry).verdict is Verdict.PRESENT
    said = judge(each(painted(release, layout), change), geometry)
    assert said.verdict is Verdict.REMOVED
    assert said.hole.evidence > HOLE


MOVES: dict[str, tuple[Callable[[NDArray[np.uint8]], NDArray[np.uint8]], Geometry]] = {
    "crop": (
        lambda luma: luma[32:304, 40:448],
        Geometry(scale=320 / 272, shift=(-40 / 320 % 0.5, -32 / 320 % 0.5)),
    ),
    "flip": (lambda luma: luma[:, ::-1], Geometry(mirrored=True, shift=(-480 / 320 % 0.5, 0.0))),
    # Turned counter-clockwise: the clip's corner shows the marked frame's upper right one.
    "turn": (lambda luma: np.rot90(luma), Geometry(rotation=90.0, shift=(-480 / 320 % 0.5, 0.0))),
}


def test_a_hole_shows_in_colour_where_luma_is_too_faint(
    film: Film, layout: VisibleLayout, key: DetectionKey, payload: int
) -> None:
    """A cropped clip, marked as weakly as a release."""
    pen = VisibleMark(key.visible, payload, VARIANT, WIDTH, HEIGHT)
    hidden = HiddenMark(key, payload, WIDTH, HEIGHT, Strength(psnr=57.5, louder=11.0))
    release = []
    for time, *planes in film(SECONDS, WIDTH, HEIGHT):
        pen.draw(*planes, time)
        release.append(hidden.embed(Picture(time, *planes)))

    def said(clip: list[Picture], *, colour: bool) -> removal.Testimony:
        frames = [TimedLuma(time, y[32:304, 40:448]) for time, y, _, _ in clip]
        halves = [
            (u[16:152, 20:224], v[16:152, 20:224]) for _, _, u, v in clip if u is not None and v is not None
        ]
        colours = halves if colour else []
        return with_payload(frames, layout, key, payload, MOVES["crop"][1], colours=colours)

    assert said(release, colour=True).verdict is Verdict.PRESENT
    gone = [Picture(p.time, *over) for p, over in zip(release, painted_planes(release, layout), strict=True)]
    assert said(gone, colour=False).verdict is Verdict.NOT_CHECKED
    found = said(gone, colour=True)
    assert found.verdict is Verdict.REMOVED
    assert found.hole.evidence > 3 * HOLE


def painted_planes(clip: list[Picture], layout: VisibleLayout) -> Iterator[list[NDArray[np.uint8]]]:
    for time, *planes in clip:
        over = []
        for plane, part in zip(planes, (1, 2, 2), strict=True):
            assert plane is not None
            hole = np.zeros(plane.shape, np.uint8)
            for x0, y0, x1, y1 in layout.boxes(time):
                hole[max(0, y0 - 2) // part : (y1 + 3) // part, max(0, x0 - 2) // part : (x1 + 3) // part] = (
                    255
                )
            over.append(np.asarray(cv2.inpaint(plane, hole, 3, cv2.INPAINT_TELEA), np.uint8))
        yield over


def test_a_path_that_is_not_known_well_enough_is_not_checked(
    release: Clip, plain: Clip, key: DetectionKey, payload: int, mark: Film, judge: Judge
) -> None:
    """Without a hole nothing was taken away there, and nothing says that the path is right."""
    hidden = hidden_in(plain, mark, key, payload)
    said = judge(each(hidden, MOVES["crop"][0]), MOVES["crop"][1])
    assert (said.verdict, said.reason) == (Verdict.NOT_CHECKED, Reason.MOVED)
    wrong = judge(release, Geometry(scale=1.3, shift=(0.1, 0.2)))
    assert wrong.verdict in (Verdict.NOT_CHECKED, Verdict.PRESENT)


def test_a_trim_is_followed_to_any_period(release: Clip, judge: Judge) -> None:
    later = [TimedLuma(time - 1.5, luma) for time, luma in release if time >= 1.5]
    said = judge(later, Geometry(time_offset=1.5))
    assert (said.verdict, said.framing and said.framing.start) == (Verdict.PRESENT, pytest.approx(1.5))


def test_a_label_on_another_path_is_forged(
    plain: Clip, key: DetectionKey, payload: int, mark: Film, judge: Judge
) -> None:
    """The hidden mark was copied, and a label drawn by somebody who does not know its path."""
    elsewhere = VisibleMark(bytes(32), 5, 9, WIDTH, HEIGHT)
    said = judge(hidden_in(drawn(plain, elsewhere), mark, key, payload))
    assert said.verdict is Verdict.FORGED
    assert said.look_alike is not None


def test_without_a_hidden_mark(plain: Clip, labelled: Clip, layout: VisibleLayout) -> None:
    lost = without_payload(labelled, layout, hidden=False)
    assert (lost.verdict, lost.reason) == (Verdict.NOT_CHECKED, Reason.LOST)
    forged = without_payload(labelled, layout, hidden=False, kept=True)
    assert forged.verdict is Verdict.FORGED
    assert forged.look_alike is not None
    assert forged.look_alike.span[1] > 3
    assert without_payload(plain, layout, hidden=False).verdict is Verdict.NONE
    unread = without_payload(labelled, layout, hidden=True)
    assert (unread.verdict, unread.reason) == (Verdict.NOT_CHECKED, Reason.UNREAD)


def test_a_label_that_rests_is_not_ours(plain: Clip, layout: VisibleLayout) -> None:
    """At whatever quality: ours never does."""
    pen = VisibleMark(bytes(32), 1, 0, WIDTH, HEIGHT)
    (x0, y0, x1, y1), _ = pen.boxes(3.0)
    stamp = drawn([TimedLuma(3.0, plain[0].luma)], pen)[0].luma[y0:y1, x0:x1]
    resting = [TimedLuma(time, luma.copy()) for time, luma in plain]
    for _, luma in resting:
        luma[y0:y1, x0:x1] = stamp
    assert without_payload(resting, layout, hidden=False).verdict is Verdict.FORGED


def test_too_little_is_never_present_nor_removed(release: Clip, layout: VisibleLayout, judge: Judge) -> None:
    tiny = each(release, lambda luma: np.asarray(cv2.resize(luma, (72, 48)), np.uint8))
    for clip in ([], release[:2], tiny):
        assert judge(clip).verdict is Verdict.NOT_CHECKED
        assert without_payload(clip, layout, hidden=False).verdict is Verdict.NOT_CHECKED
        assert by_credential(clip, layout).verdict is Verdict.NOT_CHECKED


def test_by_the_credential_alone_nothing_is_removed(
    release: Clip, plain: Clip, layout: VisibleLayout
) -> None:
    """Any pictures can be put under a credential: what they do not show was not taken away."""
    assert by_credential(release, layout).verdict is Verdict.PRESENT
    said = by_credential(plain, layout)
    assert (said.verdict, said.reason) == (Verdict.NOT_CHECKED, Reason.UNREAD)


def test_without_a_release_all_variants_are_tried(
    release: Clip, plain: Clip, key: DetectionKey, payload: int
) -> None:
    layouts = [VisibleLayout(key.visible, payload, variant, WIDTH, HEIGHT) for variant in range(8)]
    found = of_any(release, layouts, HERE)
    assert (found.verdict, found.evidence and found.evidence.variant) == (Verdict.PRESENT, VARIANT)
    said = of_any(plain, layouts, HERE)
    assert (said.verdict, said.reason) == (Verdict.NOT_CHECKED, Reason.UNKNOWN)


def test_a_label_is_found_at_any_place_and_size(
    labelled: Clip, plain: Clip, layout: VisibleLayout, key: DetectionKey, payload: int
) -> None:
    other = VisibleLayout(key.visible, payload ^ 1, VARIANT, WIDTH, HEIGHT)
    smaller = each(
        labelled, lambda luma: np.asarray(
            cv2.copyMakeBorder(luma[40:300, 20:], 10, 60, 30, 0, cv2.BORDER_REFLECT), np.uint8)
    )  # fmt: skip
    assert look_for(plain, layout) is None
    found = look_for(labelled, layout)
    assert found is not None
    assert goes_along(found, layout, WHOLE)
    assert not goes_along(found, other, WHOLE)
    assert look_for(smaller, layout) is not None


def along(clip: Clip, layout: VisibleLayout, key: DetectionKey, payload: int) -> local_carrier.Hole:
    holes = PathHoles(clip, layout, key, payload)
    return local_carrier.together(holes.at(WHOLE, plate, ((0.0, SECONDS),)) for plate in Plate)


def test_holes_are_told_from_untouched_places_and_from_no_mark(
    plain: Clip, layout: VisibleLayout, key: DetectionKey, payload: int, mark: Film
) -> None:
    marked = hidden_in(plain, mark, key, payload)
    assert along(marked, layout, key, payload).evidence < -HOLE
    assert along(painted(marked, layout), layout, key, payload).evidence > HOLE
    assert along(plain, layout, key, payload) == UNTOLD
    assert along(marked, layout, DetectionKey(epoch=3, secret=bytes(32)), payload) == UNTOLD


def test_planes_add_their_evidence(
    plain: Clip, layout: VisibleLayout, key: DetectionKey, payload: int, mark: Film
) -> None:
    """Any number of planes of any size: here the same one twice, and one that shows nothing."""
    seen = windows(painted(hidden_in(plain, mark, key, payload), layout))
    assert seen is not None
    (field,) = fields(seen, key, payload, (WIDTH, HEIGHT), WHOLE)
    half = local_carrier.Field(seen=field.seen[:, ::2, ::2], expected=-field.expected[:, ::2, ::2])
    boxes = np.array([
        [[WHOLE.box((WIDTH, HEIGHT), box)] for box in layout.boxes(time)] for time in seen.times.tolist()
    ])  # fmt: skip
    used = np.ones(len(seen.times), bool)
    once, twice, none = (
        LocalCarrier(planes, WHOLE).hole(boxes, Plate.LABEL, used)
        for planes in ((field,), (field, field, half), (half,))
    )
    assert once.evidence > HOLE
    assert twice.evidence == pytest.approx(2 * once.evidence)
    assert none == UNTOLD
