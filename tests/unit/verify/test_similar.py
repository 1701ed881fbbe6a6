"""Search by content: attacks on tiny clips, what cannot be decided, and laws of the index."""

from collections.abc import Callable, Iterator
from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.credentials.fingerprint import MIRROR, Fingerprinter, frame_hash
from pipeline.credentials.moments import Taker, with_moments
from pipeline.errors import UsageError
from pipeline.verify.similar import FLAT, PLAIN, STILL, ClipQuery, Confirmed, Found, Similar
from pipeline.verify.similar_index import Ask, joined, merged, nearest
from pipeline.verify.similar_keys import WHOLE, WINDOWS, Keys, signs, stored_keys
from pipeline.verify.similar_times import best_line

HEIGHT, WIDTH, RATE, SECONDS = 96, 160, 8, 3.0
Picture = NDArray[np.uint8]
Edit = Callable[[Picture], Picture]


@lru_cache(maxsize=8)
def _ground(seed: int) -> Picture:
    random = np.random.default_rng(seed)
    parts = [cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, 2 * WIDTH)), (0, 0), s) for s in (1.5, 4.0, 14.0)]
    whole = sum(part * amount / part.std() for part, amount in zip(parts, (10, 16, 26), strict=True))
    return np.clip(whole + 120, 20, 235).astype(np.uint8)


def clip(seed: int, start: float = 0.0, seconds: float = SECONDS) -> Iterator[tuple[float, Picture]]:
    """A scene that stands, through which two bright things go on their own ways."""
    for index in range(round(seconds * RATE)):
        picture, now = _ground(seed)[:, :WIDTH].copy(), start + index / RATE
        for thing in (0, 1):
            x = int(20 + (17 + 9 * thing) * now + 31 * thing + 11 * (seed % 5)) % WIDTH
            y = int(48 + 30 * np.sin(1.3 * now + thing + seed))
            cv2.circle(picture, (x, y), 9 + 3 * thing, 235 - 200 * thing, -1)
        yield index / RATE, picture


def stored(frames: Iterator[tuple[float, Picture]]) -> bytes:
    prints, taker = Fingerprinter(), Taker()
    for time, luma in frames:
        prints.add(time, luma)
        taker.add(time, luma, None, None)
    return with_moments(prints.finish(), taker.finish())


def query(frames: Iterator[tuple[float, Picture]], edit: Edit = lambda picture: picture) -> ClipQuery:
    return ClipQuery.from_frames((time, np.ascontiguousarray(edit(p)), None, None) for time, p in frames)


RELEASES = {f"release-{seed}": stored(clip(seed)) for seed in range(4)}


@pytest.fixture(scope="module")
def index() -> Similar:
    made = Similar(RELEASES.get)
    made.add_all(RELEASES.items())
    return made


def coded(picture: Picture) -> Picture:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0)


def inside(picture: Picture) -> Picture:
    """At half its sides in another picture."""
    whole = cv2.GaussianBlur(_ground(77)[:, :WIDTH], (0, 0), 6)
    whole[30 : 30 + HEIGHT // 2, 60 : 60 + WIDTH // 2] = cv2.resize(
        picture, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA
    )
    return whole


def captioned(picture: Picture) -> Picture:
    laid = picture.copy()
    laid[-14:] //= 4
    cv2.putText(laid, "the last train", (12, HEIGHT - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 235, 1)
    return laid


SAME = {
    "as it is": lambda p: p,
    "coded": coded,
    "smaller": lambda p: cv2.resize(p, (106, 64), interpolation=cv2.INTER_AREA),
    "cut by a tenth": lambda p: p[6:92, 2:146],
    "cut by a quarter": lambda p: p[20:92, 30:150],
    "mirrored": lambda p: p[:, ::-1],
    "mirrored and cut": lambda p: p[6:92, 14:156][:, ::-1],
    "letter box": lambda p: cv2.copyMakeBorder(p, 20, 20, 0, 0, cv2.BORDER_CONSTANT, value=16),
    "border": lambda p: cv2.copyMakeBorder(p, 8, 8, 14, 14, cv2.BORDER_CONSTANT, value=190),
    "darker": lambda p: (p * 0.8).astype(np.uint8),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("seed", [1, 3])
def test_what_was_done_to_a_clip_does_not_hide_it(index: Similar, name: str, seed: int) -> None:
    found = index.search(query(clip(seed), SAME[name]), 3)
    assert [hit.release for hit in found.hits if hit.confirmed is Confirmed.SAME] == [f"release-{seed}"]
    assert found.undecided == ""
    first = found.hits[0]
    assert first.mirrored == ("mirrored" in name)
    assert abs(first.offset_seconds) <= 0.13
    assert first.structure is not None
    assert first.structure > 0.9


@pytest.mark.parametrize(("edit", "least"), [(inside, 0.85), (captioned, 0.6)])
def test_a_picture_in_a_picture_and_a_caption_are_found(index: Similar, edit: Edit, least: float) -> None:
    for seed in (1, 3):
        first = index.search(query(clip(seed), edit), 3).hits[0]
        assert first.release == f"release-{seed}"
        assert first.structure is not None
        assert first.structure > least


@pytest.mark.parametrize("start", [0.5, 1.0])
def test_an_excerpt_is_found_with_its_place_in_time(index: Similar, start: float) -> None:
    first = index.search(query(clip(2, start, 2.0), coded), 3).hits[0]
    assert (first.release, first.confirmed) == ("release-2", Confirmed.SAME)
    assert first.offset_seconds == pytest.approx(start, abs=0.13)


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_another_speed_is_found_and_told(index: Similar, speed: float) -> None:
    first = index.search(query((time / speed, p) for time, p in clip(0)), 3).hits[0]
    assert first.release == "release-0"
    assert first.speed == pytest.approx(speed, rel=0.05)
    assert first.confirmed is Confirmed.SAME


def test_a_fade_from_black_is_no_difference() -> None:
    def faded() -> Iterator[tuple[float, Picture]]:
        for time, picture in clip(6):
            yield time, (picture * min(1.0, max(0.0, time - 0.6))).astype(np.uint8)

    index = Similar({"faded": stored(faded())}.get)
    index.add("faded", stored(faded()))
    assert index.search(query(faded(), coded), 1).hits[0].confirmed is Confirmed.SAME


def test_a_clip_of_hours_is_compared_with_bounded_work() -> None:
    """Times alone, as a file may claim them: pictures are few."""
    times, others = np.linspace(0, 60_000, 384), np.linspace(0, 50_000, 64)
    line = best_line(np.zeros((384, 64), np.float32), times, others)
    assert line.pairs


def test_another_clip_and_another_time_of_the_same_scene_are_never_the_same(index: Similar) -> None:
    for other in (clip(9), clip(1, 40.0), clip(1, SECONDS)):
        found = index.search(query(other), 3)
        assert [hit for hit in found.hits if hit.confirmed is Confirmed.SAME] == []


def test_a_cut_that_goes_on_after_the_releases_end_is_found_and_not_the_same(index: Similar) -> None:
    first = index.search(query(clip(1, 1.5)), 3).hits[0]
    assert (first.release, first.confirmed) == ("release-1", Confirmed.UNDECIDED)
    assert first.offset_seconds == pytest.approx(1.5, abs=0.13)
    assert first.structure is not None
    assert first.structure > 0.95


def test_what_moves_otherwise_is_another_take(index: Similar) -> None:
    """The scene is the same to the pixel, but things go through it the other way."""
    frames = [picture for _, picture in clip(1)]
    taken = query(iter([(number / RATE, picture) for number, picture in enumerate(reversed(frames))]))
    assert all(hit.confirmed is Confirmed.UNDECIDED for hit in index.search(taken, 3).hits)


def shaded(turn: float) -> Iterator[tuple[float, Picture]]:
    """A scene that stands, over which a faint light goes round, the other way for a negative turn."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for index in range(round(SECONDS * RATE)):
        angle = turn * index / RATE
        away = (x - 80 - 50 * np.cos(angle)) ** 2 + (y - 48 - 30 * np.sin(angle)) ** 2
        yield (
            index / RATE,
            (_ground(3)[:, :WIDTH] + 11.0 * np.exp(-away / (2 * 18.0**2))).clip(0, 255).astype(np.uint8),
        )


def test_the_same_pictures_with_another_motion_are_another_take() -> None:
    """Structure agrees, and nowhere is a difference large enough: only what changes tells them apart."""
    index = Similar({"take": stored(shaded(2.0))}.get)
    index.add("take", stored(shaded(2.0)))
    assert index.search(query(shaded(2.0), coded), 1).hits[0].confirmed is Confirmed.SAME
    other = index.search(query(shaded(-2.0), coded), 1)
    assert (other.hits[0].confirmed, other.undecided) == (Confirmed.UNDECIDED, "")


def title(words: str) -> Picture:
    picture = np.full((HEIGHT, WIDTH), 20, np.uint8)
    cv2.putText(picture, words, (40, 52), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 230, 1)
    return picture


def test_what_cannot_be_decided_says_why() -> None:
    shown = {"flat": np.full((HEIGHT, WIDTH), 90, np.uint8), "title": title("PART ONE"),
             "still": _ground(5)[:, :WIDTH]}  # fmt: skip
    clips = {name: [(number / 4, picture) for number in range(12)] for name, picture in shown.items()}
    kept = {name: stored(iter(frames)) for name, frames in clips.items()}
    index = Similar(kept.get)
    index.add_all(kept.items())
    assert index.search(query(iter(clips["flat"])), 3) == Found(hits=(), undecided=FLAT)
    assert index.search(query(iter(clips["title"])), 3) == Found(hits=(), undecided=PLAIN)
    assert index.search(ClipQuery.from_frames([]), 3) == Found(hits=(), undecided=FLAT)
    for frames in (clips["still"], clips["still"][:1]):
        found = index.search(query(iter(frames)), 3)
        assert found.undecided == STILL
        assert [(hit.release, hit.confirmed) for hit in found.hits] == [("still", Confirmed.UNDECIDED)]


def test_a_picture_of_a_moment_is_found_and_proves_nothing(index: Similar) -> None:
    picture = list(clip(2))[9:10]
    found = index.search(query(iter(picture), coded), 3)
    assert (found.hits[0].release, found.hits[0].confirmed) == ("release-2", Confirmed.UNDECIDED)
    assert found.undecided == STILL


def test_a_fingerprint_alone_is_found_and_proves_nothing(index: Similar) -> None:
    for edit, mirrored in ((SAME["coded"], False), (SAME["mirrored"], True)):
        prints = query(clip(3), edit).fingerprint
        found = index.by_fingerprint(prints.to_bytes(), 3)
        first = found.hits[0]
        assert (first.release, first.mirrored, first.structure) == ("release-3", mirrored, None)
        assert first.confirmed is Confirmed.UNDECIDED
        assert first.distance < 0.1
    assert index.by_fingerprint(b"\x01\x01\x00\x00", 3) == Found(hits=(), undecided=FLAT)
    with pytest.raises(UsageError):
        index.by_fingerprint(b"\x02\x01\x00\x00", 3)


def test_a_release_without_moments_is_found_by_its_fingerprint_only() -> None:
    older = query(clip(3)).fingerprint.to_bytes()
    index = Similar({"older": older}.get)
    index.add("older", older)
    assert index.search(query(clip(3)), 3).hits == ()
    assert index.by_fingerprint(older, 3).hits[0].distance == 0


def test_what_was_removed_or_is_gone_is_not_found(index: Similar) -> None:
    kept = dict(RELEASES)
    mine = Similar(kept.get, index.segments)
    mine.remove("release-1")
    assert "release-1" not in [hit.release for hit in mine.search(query(clip(1)), 3).hits]
    mine.add("release-1", RELEASES["release-1"])
    assert mine.search(query(clip(1)), 3) == index.search(query(clip(1)), 3)
    del kept["release-1"]
    assert "release-1" not in [hit.release for hit in mine.search(query(clip(1)), 3).hits]


def test_signs_are_those_of_the_fingerprint() -> None:
    for _, picture in clip(2):
        words, structured = signs(picture[None].astype(np.float32), [WHOLE])
        expected = frame_hash(picture)
        assert expected is not None
        assert (int(words[0, 0]) ^ expected).bit_count() <= 1  # float arithmetic at the edge of a sign
        assert structured[0, 0]


def test_a_release_has_keys_of_its_parts() -> None:
    from pipeline.credentials import moments

    keys = stored_keys(*moments.stored(RELEASES["release-1"]))
    assert keys.words.shape == (len(keys.times), len(WINDOWS))
    assert len({int(word) for word in keys.words[0]}) > len(WINDOWS) // 2


words = st.integers(0, 2**64 - 1)
made = st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=6)


def keys_of(values: list[int]) -> Keys:
    signs_ = np.array(values, np.uint64)[:, None].repeat(len(WINDOWS), axis=1)
    return Keys(signs_, np.arange(len(values), dtype=np.float32))


def ask(*values: int) -> Ask:
    return Ask(np.array(values, np.uint64), np.full(len(values), 2**64 - 1, np.uint64), (0,))


@settings(max_examples=60, deadline=None)
@given(clips=made, others=made, sought=st.lists(words, min_size=1, max_size=3))
def test_other_clips_change_no_clips_numbers(
    clips: list[list[int]], others: list[list[int]], sought: list[int]
) -> None:
    few = joined([f"a{n}" for n in range(len(clips))], [keys_of(c) for c in clips])
    more = joined([f"b{n}" for n in range(len(others))], [keys_of(c) for c in others])
    alone = nearest([few], [ask(*sought)], 64, 100)
    for segments in ([few, more], [more, few], [merged([few, more])], [merged([more, few])]):
        together = nearest(segments, [ask(*sought)], 64, 100)
        assert len(together) == len(clips) + len(others)
        mine = [near for near in together if near.name.startswith("a")]
        assert [(n.name, n.worth, n.bits.tolist()) for n in mine] == [
            (n.name, n.worth, n.bits.tolist()) for n in alone
        ]


@settings(max_examples=60, deadline=None)
@given(clips=made, sought=st.lists(words, min_size=1, max_size=3), data=st.data())
def test_the_order_of_clips_does_not_matter(
    clips: list[list[int]], sought: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(clips))))
    one = joined([f"{n}" for n in range(len(clips))], [keys_of(c) for c in clips])
    other = joined([f"{n}" for n in order], [keys_of(clips[n]) for n in order])
    found, again = (nearest([s], [ask(*sought)], 40, 3) for s in (one, other))
    assert [(n.name, n.worth) for n in found] == [(n.name, n.worth) for n in again]


@settings(max_examples=60, deadline=None)
@given(clips=made, number=st.integers(0, 5))
def test_a_mirrored_twin_is_as_near(clips: list[list[int]], number: int) -> None:
    twin = clips[number % len(clips)]
    index = [joined([f"{n}" for n in range(len(clips))], [keys_of(c) for c in clips])]
    plain = ask(*twin)
    turned = Ask(plain.words ^ np.uint64(MIRROR), plain.masks, (0,))
    back = Ask(turned.words ^ np.uint64(MIRROR), plain.masks, (0,))
    found = nearest(index, [turned, back], 20, 1)[0]
    assert found.worth == 21 * len(twin)
    assert found.way == 1 or any(bits == value ^ MIRROR for bits in twin for value in twin)
