"""Attacks on time: speed, frame rate, lost and repeated frames, order, trims, averages."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.attacks.footage import CannotAttack, Footage, Frame, Image, Situation

SHORTEST = 0.5  # seconds that a trim leaves at least


def speed(footage: Footage, _situation: Situation, *, factor: float) -> Footage:
    """Played ``factor`` times as fast at the same frame rate: frames are left out or shown again."""
    return _resampled(footage, footage.rate, factor)


def frame_rate(footage: Footage, _situation: Situation, *, rate: float = 0.0, share: float = 0.0) -> Footage:
    """Another frame rate (``rate`` per second, or a ``share`` of the clip's), nearest earlier frame shown.

    Raises: CannotAttack when the clip has no higher rate to begin with.
    """
    wanted = rate or footage.rate * share
    if wanted >= footage.rate - 0.01:
        raise CannotAttack(f"the clip has {footage.rate:g} frames per second, no more than {wanted:g}")
    return _resampled(footage, wanted, 1.0)


def _resampled(footage: Footage, rate: float, factor: float) -> Footage:
    play = footage.play

    def again() -> Iterator[Frame]:
        shown: Image | None = None
        index = 0
        for time, image in play():
            # Everything up to the new frame's time shows the frame before it.
            while shown is not None and index / rate * factor < time - 1e-6:
                yield Frame(index / rate, shown)
                index += 1
            shown = image
        while shown is not None and index / rate * factor < footage.seconds - 1e-6:
            yield Frame(index / rate, shown)
            index += 1

    return replace(footage, play=again, rate=rate, seconds=footage.seconds / factor)


def thin(footage: Footage, situation: Situation, *, share: float) -> Footage:
    """A random share of frames lost, the others shown at their own times: an uneven frame rate."""
    play = footage.play

    def thinned() -> Iterator[Frame]:
        random = situation.random()
        for index, frame in enumerate(play()):
            if random.random() >= share or index == 0:
                yield frame

    return replace(footage, play=thinned)


def stutter(footage: Footage, situation: Situation, *, share: float) -> Footage:
    """A random share of frames replaced by the frame before or after (VideoSeal's DropFrame)."""
    play = footage.play

    def stuttered() -> Iterator[Frame]:
        random = situation.random()
        window: deque[Frame] = deque(maxlen=3)
        for frame in play():
            window.append(frame)
            if len(window) == 2:
                yield _instead(window[0], window[0], window[1], random, share)
            elif len(window) == 3:
                yield _instead(window[1], window[0], window[2], random, share)
        if window:
            last = window[-1]
            yield _instead(last, window[max(0, len(window) - 2)], last, random, share)

    return replace(footage, play=stuttered)


def _instead(frame: Frame, before: Frame, after: Frame, random: np.random.Generator, share: float) -> Frame:
    replaced, earlier = random.random(2)
    if replaced >= share:
        return frame
    return Frame(frame.time, before.image if earlier < 0.5 else after.image)


def reorder(footage: Footage, situation: Situation, *, chunk: int, chance: float) -> Footage:
    """Neighbouring chunks of frames swapped with some chance (VideoSeal's TemporalReorder); times stay."""
    play = footage.play

    def reordered() -> Iterator[Frame]:
        random = situation.random()
        held: list[Frame] = []
        for frame in play():
            held.append(frame)
            if len(held) == 2 * chunk:
                swapped = held[chunk:] + held[:chunk] if random.random() < chance else held
                yield from (Frame(at.time, shown.image) for at, shown in zip(held, swapped, strict=True))
                held = []
        yield from held

    return replace(footage, play=reordered)


def first(footage: Footage, _situation: Situation, *, seconds: float) -> Footage:
    """Only the beginning. Raises: CannotAttack for a clip that is no longer."""
    _check_longer(footage, seconds)
    play = footage.play

    def begun() -> Iterator[Frame]:
        for frame in play():
            if frame.time >= seconds - 1e-6:
                return
            yield frame

    return replace(footage, play=begun, seconds=seconds)


def last(footage: Footage, _situation: Situation, *, seconds: float) -> Footage:
    """Only the end; its first frame is at time 0. Raises: CannotAttack for a clip that is no longer."""
    _check_longer(footage, seconds)
    play, start = footage.play, footage.seconds - seconds

    def ended() -> Iterator[Frame]:
        begin: float | None = None
        for time, image in play():
            if time < start - 1e-6:
                continue
            begin = time if begin is None else begin
            yield Frame(time - begin, image)

    return replace(footage, play=ended, seconds=seconds)


def _check_longer(footage: Footage, seconds: float) -> None:
    if footage.seconds < seconds + SHORTEST:
        raise CannotAttack(f"the clip has {footage.seconds:.1f} s, too few to leave {seconds:g} s of it")


def average(footage: Footage, _situation: Situation, *, frames: int) -> Footage:
    """Each frame the mean of itself and its neighbours, ``frames`` (odd) in all; fewer at the ends."""
    play, reach = footage.play, int(frames) // 2

    def averaged() -> Iterator[Frame]:
        held: deque[Frame] = deque(maxlen=2 * reach + 1)
        for frame in play():
            held.append(frame)
            if len(held) > reach:
                at = len(held) - 1 - reach
                yield Frame(held[at].time, _mean([one.image for one in held]))
        # The last frames have neighbours only before them.
        for left in range(min(reach, len(held)) - 1, -1, -1):
            near = list(held)[-(reach + left + 1) :]
            yield Frame(held[-1 - left].time, _mean([one.image for one in near]))

    return replace(footage, play=averaged)


def _mean(images: list[Image]) -> Image:
    return np.rint(np.mean(images, axis=0, dtype=np.float32)).astype(np.uint8)
