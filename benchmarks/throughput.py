"""What marking costs: processor time of our mark beside x264 and a peer, on the same frames at the same time.

Each clip is cut into pieces of `PIECE` frames; every piece is marked, encoded and (two of its frames) given
to the peer right after one another, so that whatever else the machine does hits all of them. All in one
process of one thread; a ratio is taken within a piece, and the first piece is told apart: it makes tables.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, TypeVar

import av
import cv2

from benchmarks import common, watermark
from benchmarks.attacks.footage import Frame, Image, planes
from benchmarks.common import Conditions, Row, median, once, say
from benchmarks.trials.material import NoMaterial, Size, Source, swung, window
from benchmarks.trials.packaged import PACKAGED
from benchmarks.trials.peers import bits_of, image_to_bgr
from benchmarks.trials.scheme import PeerMissing
from benchmarks.trials.schemes import detection_key
from watermark.base import Picture
from watermark.carrier import HiddenMark, Strength

SUITE_NAME: Final = "throughput"
LINES: Final = {"480p": 480, "720p": 720, "1080p": 1080}
PIECE: Final = 24  # frames
PEER_FRAMES: Final = 2  # of each piece
TAKEN: Final = 2.0  # seconds of a clip that are shown, forwards and backwards
PRESET: Final = "medium"
CRF: Final = 23
STRENGTH: Final = Strength()
PAYLOAD: Final = 0x0123_4567_89AB_CDEF
SHARE_GOAL: Final = 0.05  # of x264 medium
RATE_GOAL: Final = 400.0  # Mpixel/s
PEER: Final = "dwtDctSvd"
PEER_GOAL: Final = 50.0  # times as fast, at 1080p


Given = TypeVar("Given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Processor seconds of a frame: marked by us, encoded by x264, marked by the peer."""

    ours: float
    x264: float
    peer: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One clip at one size."""

    source: Source
    lines: int
    pieces: int
    peer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The first piece, the steady ones after it, and pixels of a frame."""

    first: Piece
    steady: tuple[Piece, ...]
    pixels: int


def main() -> int:
    """The command; 2 where there is nothing to try."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    try:
        clips = watermark.sources(asked)
    except NoMaterial as error:
        print(error, file=sys.stderr)
        return 2
    rows = [*measured, *(row for size in asked.sizes for row in _rows(size, clips, asked)), *common.machine()]
    common.present(SUITE_NAME, rows, at_commit, as_json=asked.json)
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    add = parser.add_argument
    watermark.material_options(parser, rendered=1)
    add("--sizes", nargs="+", choices=list(LINES), default=list(LINES))
    add("--pieces", type=common.whole(1), default=4, help=f"of {PIECE} frames, after the first one")
    add("--no-peer", dest="peer", action="store_false", help=f"leave out {PEER}")
    return parser.parse_args()


def _rows(size: str, clips: Sequence[Source], asked: Namespace) -> list[Row]:
    made: list[Row] = []
    peer = asked.peer and _peer_here()
    for material in dict.fromkeys(clip.material for clip in clips):
        done = [
            measure(Task(source=clip, lines=LINES[size], pieces=asked.pieces, peer=peer))
            for clip in clips
            if clip.material == material
        ]
        made += rows(size, material, done)
    return made


def rows(size: str, material: str, done: Sequence[Measured]) -> list[Row]:
    """Medians over pieces of all clips; a goal is reached when the median does."""
    told: Conditions = {"size": size, "material": material, "clips": len(done)}
    steady = [(one.pixels, piece) for one in done for piece in one.steady]
    shares = [piece.ours / piece.x264 for _, piece in steady]
    rates = [pixels / piece.ours / 1e6 for pixels, piece in steady]
    made = [
        median("marking", [piece.ours * 1e3 for _, piece in steady], "ms/frame", told),
        _judged(median("marking rate", rates, "Mpixel/s", told), RATE_GOAL, least=True),
        median(f"x264 {PRESET}", [piece.x264 * 1e3 for _, piece in steady], "ms/frame", told),
        _judged(median(f"share of x264 {PRESET}", shares, "share", told), SHARE_GOAL, least=False),
        once("marking in the first piece", max(one.first.ours for one in done) * 1e3, "ms/frame", told),
    ]
    beside = [(piece.peer, piece.ours) for _, piece in steady if piece.peer is not None]
    if beside:
        made.append(median(PEER, [peer * 1e3 for peer, _ in beside], "ms/frame", told))
        times = median(f"times as fast as {PEER}", [peer / ours for peer, ours in beside], "ratio", told)
        made.append(_judged(times, PEER_GOAL, least=True) if size == "1080p" else times)
    say(f"{size}, {material}: {made[0].value:.2f} ms a frame, {made[3].value:.1%} of x264 {PRESET}")
    return made


def _judged(row: Row, goal: float, *, least: bool) -> Row:
    reached = row.value >= goal if least else row.value <= goal
    return Row(
        metric=row.metric, value=row.value, unit=row.unit, n=row.n, interval=row.interval,
        conditions={**row.conditions, "goal": goal, "reached": reached},
    )  # fmt: skip


def _peer_here() -> bool:
    try:
        _peer()
    except PeerMissing as error:
        say(f"without {PEER}: {error}")
        return False
    return True


def measure(task: Task) -> Measured:
    """In a fresh process of one thread."""
    # The child reads these when it loads numpy; by then it is too late for this process.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, task).result()


def _measured(task: Task) -> Measured:
    cv2.setNumThreads(1)
    size = Size(name="", lines=task.lines, seconds=TAKEN)
    with tempfile.TemporaryDirectory(prefix="countermark-throughput-") as folder:
        plain = window(task.source, size, 0.0, Path(folder) / "plain")
        whole = (1 + task.pieces) * PIECE
        footage = swung(plain, Path(folder) / "swung", (whole + 0.5) / plain.rate)
        mark, peer = marker(footage.width, footage.height), _peer() if task.peer else None
        pieces: list[Piece] = []
        held: list[Frame] = []
        for frame in footage.play():
            held.append(frame)
            if len(held) == PIECE:
                pieces.append(_piece(held, mark, peer, footage.rate))
                held = []
    return Measured(first=pieces[0], steady=tuple(pieces[1:]), pixels=footage.width * footage.height)


def _piece(
    frames: Sequence[Frame], mark: Callable[[Frame], None], peer: Callable[[Image], None] | None, rate: float
) -> Piece:
    pictures = [image_to_bgr(frame.image) for frame in frames[:PEER_FRAMES]] if peer else []
    return Piece(
        ours=_spent(mark, frames) / len(frames),
        x264=_encoding(frames, rate) / len(frames),
        peer=_spent(peer, pictures) / len(pictures) if peer else None,
    )


def marker(width: int, height: int) -> Callable[[Frame], None]:
    """Our embedder alone: what is done to each frame of a release. The only place that knows its form."""
    hidden = HiddenMark(detection_key(0), PAYLOAD, width, height, STRENGTH)

    def mark(frame: Frame) -> None:
        hidden.embed(Picture(frame.time, *planes(frame.image)))

    return mark


def _peer() -> Callable[[Image], None]:
    """The peer alone, on pictures as its package takes them. Raises: PeerMissing."""
    method = PACKAGED[PEER](None)
    message = bits_of(PAYLOAD, method.bits)

    def mark(picture: Image) -> None:
        method.mark(picture, message)

    return mark


def _spent(do: Callable[[Given], None], work: Sequence[Given]) -> float:
    """Processor seconds of doing it to all of them."""
    begun = _cpu()
    for one in work:
        do(one)
    return _cpu() - begun


def _encoding(frames: Sequence[Frame], rate: float) -> float:
    """Processor seconds of x264 with one thread, without making its pictures."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    height, encoder.width = frames[0].luma.shape
    encoder.height, encoder.pix_fmt = height, "yuv420p"
    encoder.framerate = Fraction(rate).limit_denominator(1001)
    encoder.time_base = 1 / encoder.framerate
    encoder.thread_count = 1
    encoder.options = {"preset": PRESET, "crf": str(CRF)}
    pictures = []
    for index, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame.image, format="yuv420p")
        picture.pts, picture.time_base = index, encoder.time_base
        pictures.append(picture)
    begun = _cpu()
    for picture in pictures:
        encoder.encode(picture)
    encoder.encode(None)
    return _cpu() - begun


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())
