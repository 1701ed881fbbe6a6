"""How near unmarked pictures and wrong keys come to being taken for a payload of ours.

Unmarked: random windows of real clips, in colour, lightly changed (mirrored, cropped, resized, stretched,
brighter or darker), each searched blindly with a key drawn for it. Wrong key: the same with clips that do
bear a mark, of another key, straight from the embedder, which is the strongest case. Every search is the
product's own, from equalising to acceptance, with a list of issued payloads as a registry has one; a tap on
its decoder records z of *every* codeword, decoded or listed, also of those that the checks reject. Controls:
the right key must read the marked windows, and with random signs at one fixed place the tail of z must stay
under 3.18·Q(t), the bound that the printed chance is built on (beside it exp(−t²/2), Hoeffding's).
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from benchmarks.common import Conditions, Row, median, once, rate, say
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from watermark import detector as product
from watermark import search, sync
from watermark.base import Detection, Luma, Picture
from watermark.carrier import HiddenMark, Strength
from watermark.detector import MAX_LOG10_CHANCE, SHARP, HiddenMarkDetector, log10_normal_tail
from watermark.evidence import measure as measured_at
from watermark.geometry import FrameGeometry
from watermark.issued import Issued
from watermark.keys import SECRET_BYTES, DetectionKey, MintingKey, signs
from watermark.lattice import Lattice, lattice
from watermark.payload import PayloadCodec
from watermark.windows import blocks

SUITE: Final = "false_positives"
CACHED_LINES: Final = 384  # half as many again as the detector uses, so that crops keep real detail
WINDOW_SECONDS: Final = (2.0, 6.0)
CROP_SIDE: Final = (0.71, 1.0)
RESIZE: Final = (0.5, 1.0)
STRETCH: Final = (0.9, 1.1)
GAIN: Final = (0.7, 1.3)
OFFSET: Final = (-20.0, 20.0)  # grey levels
ISSUED: Final = 100_000  # payloads of a registry that released none of these clips
CONTROL_EVERY: Final = 5  # marked windows to one control
PLACES: Final = 200  # windows that lend their evidence to the fixed-place trials
SIGNS_BATCH: Final = 500
TAIL_FROM: Final = tuple(t / 4 for t in range(4, 20))  # 1 to 4.75
SAID_EVERY: Final = 100

Random = np.random.Generator
Frames = tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A clip in memory at `CACHED_LINES` lines, unmarked and marked."""

    name: str
    plain: Frames = field(repr=False)
    marked: Frames = field(repr=False)


@dataclass(slots=True)
class Tally:
    """What a series of searches found."""

    searches: int = 0
    accepted: int = 0
    present: int = 0
    codewords: int = 0
    highest: list[float] = field(default_factory=list)  # z of each search's best codeword
    listed: list[float] = field(default_factory=list)  # and of its best one on the list
    template: list[float] = field(default_factory=list)  # each search's best template statistic


class Tap:
    """Stands before the product's decoder and notes every codeword, whatever it is worth."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._decode = tally, product.decode
        self.z, self.listed, self.template = -math.inf, -math.inf, -math.inf

    def decode(
        self, placements: Sequence[sync.Placement], design: Lattice, issued: Issued | None = None
    ) -> list[product.Reading]:
        """The product's `decode`, observed."""
        readings = self._decode(placements, design, issued)
        for reading in readings:
            if reading.listed:
                self.listed = max(self.listed, reading.z)
            else:
                self.z = max(self.z, reading.z)
                self._tally.codewords += 1
        self.template = max(self.template, sync.strongest(placements))
        return readings


@contextlib.contextmanager
def tapped(tally: Tally) -> Iterator[None]:
    """One observed search."""
    tap, original = Tap(tally), product.decode
    product.decode = tap.decode
    try:
        yield
    finally:
        product.decode = original
    tally.highest.append(tap.z)
    tally.listed.append(tap.listed)
    tally.template.append(tap.template)


def load(clip: Path, key: DetectionKey, payload: int) -> Material:
    """Decode once; mark at full size and ordinary strength, then shrink both."""
    plain: list[Picture] = []
    marked: list[Picture] = []
    with open_clip(clip, limits=MediaLimits()) as reader:
        mark = HiddenMark(key, payload, reader.info.width, reader.info.height, Strength())
        for frame in reader.frames():
            picture = Picture(frame.time, frame.y, frame.u, frame.v)
            plain.append(_shrunk(picture))
            marked.append(_shrunk(mark.embed(picture)))
    return Material(name=clip.name, plain=tuple(plain), marked=tuple(marked))


def _shrunk(picture: Picture) -> Picture:
    scale = min(1.0, CACHED_LINES / min(picture.y.shape))
    return _each(picture, lambda plane: _resized(plane, scale, 1.0))


def _each(picture: Picture, change: Callable[[Luma], Luma]) -> Picture:
    y, u, v = (None if plane is None else change(plane) for plane in picture[1:])
    assert y is not None
    return Picture(picture.time, y, u, v)


def _resized(plane: Luma, scale: float, stretch: float) -> Luma:
    height, width = plane.shape
    size = (max(2, round(width * scale * stretch)), max(2, round(height * scale)))
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def window(frames: Frames, random: Random) -> list[Picture]:
    """Some seconds of a clip, changed as passing it on may change it; its time begins at 0."""
    end = frames[-1].time
    seconds = min(random.uniform(*WINDOW_SECONDS), end)
    start = random.uniform(0.0, end - seconds)
    change = _Change(random)
    return [
        change.apply(frame._replace(time=frame.time - start))
        for frame in frames
        if start <= frame.time <= start + seconds
    ]


class _Change:
    """One random light change, the same for every frame of a window; each part half of the time."""

    def __init__(self, random: Random) -> None:
        flip, crop, size, shape, light = random.random(5) < 0.5
        self._mirrored = bool(flip)
        self._side = random.uniform(*CROP_SIDE) if crop else 1.0
        self._corner = random.uniform(0, 1, 2)
        self._scale = random.uniform(*RESIZE) if size else 1.0
        self._stretch = random.uniform(*STRETCH) if shape else 1.0
        gain, offset = (random.uniform(*GAIN), random.uniform(*OFFSET)) if light else (1.0, 0.0)
        levels = np.arange(256)
        self._tone = np.clip(levels * gain + offset, 0, 255).astype(np.uint8)
        self._saturation = np.clip((levels - 128) * gain + 128, 0, 255).astype(np.uint8)

    def apply(self, picture: Picture) -> Picture:
        """The frame, changed: colour becomes more or less as luma does, its grey stays grey."""
        toned = Picture(
            picture.time, self._tone[picture.y],
            *(None if plane is None else self._saturation[plane] for plane in (picture.u, picture.v)),
        )  # fmt: skip
        return _each(toned, self._moved)

    def _moved(self, plane: Luma) -> Luma:
        height, width = (round(side * self._side) for side in plane.shape)
        y, x = (round(c * (whole - part)) for c, whole, part in
                zip(self._corner, plane.shape, (height, width), strict=True))  # fmt: skip
        part = plane[y : y + height, x : x + width]
        if self._scale != 1.0 or self._stretch != 1.0:
            part = _resized(part, self._scale, self._stretch)
        return np.ascontiguousarray(part[:, ::-1]) if self._mirrored else part


def fresh_key(random: Random) -> DetectionKey:
    """A detection key that was never used before."""
    return DetectionKey(epoch=1, secret=random.bytes(SECRET_BYTES))


class Searches:
    """All blind searches of one run."""

    def __init__(self, material: Sequence[Material], key: DetectionKey, payload: int, random: Random) -> None:
        self._material, self._key, self._payload, self._random = material, key, payload, random
        # The payload check is the real one, of a minting key that issued nothing here.
        self._accepts = PayloadCodec(MintingKey(secret=random.bytes(SECRET_BYTES))).accepts
        self._issued = Issued(random.integers(0, 2**64, ISSUED, dtype=np.uint64).tolist())
        self.unmarked, self.wrong_key = Tally(), Tally()
        self.controls, self.controls_read = 0, 0

    def run(self, windows: int) -> None:
        """`windows` unmarked windows and as many marked ones with a wrong key."""
        for index in range(windows):
            clip = self._material[int(self._random.integers(len(self._material)))]
            self._search(window(clip.plain, self._random), self.unmarked)
            marked = window(clip.marked, self._random)
            self._search(marked, self.wrong_key)
            if index % CONTROL_EVERY == 0:
                self._control(marked)
            if (index + 1) % SAID_EVERY == 0:
                say(f"{index + 1} of {windows} windows, highest z {max(self.unmarked.highest):.2f}")

    def _search(self, frames: list[Picture], tally: Tally) -> Detection:
        detector = HiddenMarkDetector([fresh_key(self._random)], self._accepts, self._issued)
        with tapped(tally):
            found = detector.detect(frames)
        tally.searches += 1
        tally.accepted += found.payload is not None
        tally.present += found.presence_log10_chance <= MAX_LOG10_CHANCE
        return found

    def _control(self, frames: list[Picture]) -> None:
        found = HiddenMarkDetector([self._key], lambda message: message == self._payload).detect(frames)
        self.controls += 1
        self.controls_read += found.payload == self._payload

    def rows(self) -> list[Row]:
        """Rates and statistics of both series, and the control."""
        rows = [*_tally_rows(self.unmarked, "unmarked"), *_tally_rows(self.wrong_key, "wrong key")]
        return [*rows, rate("right key reads the marked window (control)", self.controls_read, self.controls)]


def _tally_rows(tally: Tally, series: str) -> list[Row]:
    named = {"series": series}
    return [
        rate("payloads accepted", tally.accepted, tally.searches, named),
        rate("presence claimed", tally.present, tally.searches, named),
        once("codewords decoded", tally.codewords, "count", named),
        once("highest z of any codeword", max(tally.highest), "z", named),
        once("highest z of any listed payload", max(tally.listed), "z", {**named, "listed": ISSUED}),
        median("z of a search's best codeword", tally.highest, "z", named),
        once("highest template statistic", max(tally.template), "statistic", named),
    ]


def thresholds() -> list[Row]:
    """The z that the bound asks of a payload in the first block, in each part of the search.

    Decoded with the payload check (minting key at hand) and without it, where `product.CERTAIN_STATISTIC` is
    asked besides, and on a list.
    """
    key, grid = DetectionKey(epoch=1, secret=bytes(SECRET_BYTES)), np.arange(0.0, 40.0, 0.001)
    listed = Issued(range(ISSUED))
    rows = []
    for reading, detector in (
        ("decoded, payload check", HiddenMarkDetector([key], lambda _: True)),
        ("decoded", HiddenMarkDetector([key])),
        ("listed", HiddenMarkDetector([key], None, listed)),
    ):
        for number, part in enumerate(("unmoved", "quick", "full")):
            chances = (detector.log10_chance(float(z), part=number, listed=reading == "listed") for z in grid)
            needed = next(z for z, chance in zip(grid, chances, strict=True) if chance <= MAX_LOG10_CHANCE)
            told: Conditions = {"reading": reading, "search": part}
            told = {**told, "issued": ISSUED} if reading == "listed" else told
            rows.append(once("z needed for a payload", float(needed), "z", told))
    for part, places in (("quick", product.QUICK_PLACEMENTS), ("full", search.PLACEMENTS)):
        chances = (product.presence_log10_chance(float(s), places) for s in grid)
        needed = next(s for s, chance in zip(grid, chances, strict=True) if chance <= MAX_LOG10_CHANCE)
        rows.append(once("statistic needed for presence", float(needed), "statistic", {"search": part}))
    return rows


def fixed_place(material: Sequence[Material], trials: int, random: Random) -> NDArray[np.float64]:
    """The z of `trials` random carrier keys on evidence of unmarked windows where they lie."""
    places = min(PLACES, trials)
    found = []
    for place in range(places):
        clip = material[int(random.integers(len(material)))]
        values = _evidence(window(clip.plain, random), fresh_key(random))
        share = trials // places + (place < trials % places)
        found.append(_random_signs(values, share, random))
    return np.concatenate(found)


def _evidence(frames: list[Picture], key: DetectionKey) -> NDArray[np.float64]:
    """Evidence of unit norm at the untouched place, before any sign is used."""
    design, frame = lattice(key), FrameGeometry()
    block = next(iter(blocks(frames)))
    placement = sync.at(sync.coefficients(block, design, frame), block.times, design, frame)
    values = measured_at(placement, design).astype(np.float64)
    return values / (np.linalg.norm(values) + 1e-12)


def _random_signs(values: NDArray[np.float64], trials: int, random: Random) -> NDArray[np.float64]:
    """Signs by the product's own stream. A fixed codeword only turns some of them, so it is left out."""
    found = []
    for start in range(0, trials, SIGNS_BATCH):
        count = min(SIGNS_BATCH, trials - start)
        drawn = np.stack([signs(random.bytes(SECRET_BYTES), "sign", len(values)) for _ in range(count)])
        found.append(drawn @ values.astype(np.float32))
    return np.concatenate(found).astype(np.float64)


def tail_rows(z: NDArray[np.float64]) -> list[Row]:
    """Shares of z at or over some levels, each beside its bound."""
    rows = [
        rate(
            "tail of z at one fixed place", int(np.count_nonzero(z >= level)), len(z),
            {
                "t": level, "bound": min(1.0, SHARP * 10 ** log10_normal_tail(level)),
                "Hoeffding": math.exp(-level * level / 2),
            },
        )
        for level in TAIL_FROM
    ]  # fmt: skip
    return [*rows, once("highest z at one fixed place", float(z.max()), "z", {"trials": len(z)})]


def measure(clips: Sequence[Path], windows: int, trials: int, seed: int) -> list[Row]:
    """All rows."""
    random = np.random.default_rng(seed)
    key = fresh_key(random)
    payload = PayloadCodec(MintingKey(secret=random.bytes(SECRET_BYTES))).issue(1)
    say(f"decoding {len(clips)} clips")
    material = [load(clip, key, payload) for clip in clips]
    searches = Searches(material, key, payload, random)
    searches.run(windows)
    say(f"{trials} random keys at fixed places")
    tail = tail_rows(fixed_place(material, trials, random))
    source = once("clips", len(clips), "count", {"seed": seed, "names": " ".join(m.name for m in material)})
    return [source, *searches.rows(), *thresholds(), *tail]


def main() -> None:
    """The command."""
    parser = common.options(__doc__, clips=True)
    parser.add_argument("--windows", type=common.whole(1), default=1000, help="searches in each series")
    parser.add_argument("--trials", type=common.whole(1), default=1_000_000, help="keys at fixed places")
    parser.add_argument("--seed", type=common.whole(0), default=1)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    at_commit = common.commit()
    rows = measure(asked.clips, asked.windows, asked.trials, asked.seed)
    common.present(SUITE, rows, at_commit, as_json=asked.json)


if __name__ == "__main__":
    main()
