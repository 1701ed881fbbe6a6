"""Marks that are estimated and pasted: the estimates find what was added, and land where they must."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.attacks.footage import Footage, Frame, joined
from benchmarks.trials.pairs import REAL, RENDERED, shots
from benchmarks.trials.pasting import PASTED_RMS, Tiles, average, difference, pasted, smooth
from watermark.lattice import PERIOD_SECONDS, STATE_SECONDS, STATES

HEIGHT, WIDTH, RATE = 120, 200, 8
SIDE = HEIGHT // 2
MARK = np.random.default_rng(1).choice([-3.0, 3.0], (STATES, SIDE, SIDE)).astype(np.float32)


def footage(seed: int, *, marked: bool, seconds: float = PERIOD_SECONDS) -> Footage:
    """Noise on grey, with one tile a state where it is marked."""

    def play() -> Iterator[Frame]:
        random = np.random.default_rng(seed)
        for index in range(round(seconds * RATE)):
            time = index / RATE
            y = 120 + random.normal(0, 6, (HEIGHT, WIDTH))
            if marked:
                state = int(time / STATE_SECONDS) % STATES
                y += np.tile(MARK[state], (2, 4))[:HEIGHT, :WIDTH]
            grey = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
            yield Frame(time, joined(np.clip(np.rint(y), 0, 255).astype(np.uint8), grey, grey))

    return Footage(width=WIDTH, height=HEIGHT, rate=RATE, seconds=seconds, play=play)


def likeness(tiles: Tiles) -> float:
    one, other = tiles.parts[0], MARK - MARK.mean(axis=(1, 2), keepdims=True)
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def test_an_average_finds_the_mark_and_more_clips_find_it_better() -> None:
    one = likeness(average([footage(1, marked=True)]))
    ten = likeness(average(footage(seed, marked=True) for seed in range(10)))
    assert 0.5 < one < ten
    assert ten > 0.85
    assert abs(likeness(average([footage(1, marked=False)]))) < 0.1


def test_what_was_added_is_found_frame_by_frame() -> None:
    for time, parts in difference(footage(2, marked=True), footage(2, marked=False)):
        expected = np.tile(MARK[int(time / STATE_SECONDS) % STATES], (2, 4))[:HEIGHT, :WIDTH]
        assert np.abs(parts[0] - expected).max() <= 1
        assert not parts[1].any()


@pytest.mark.parametrize("gain", [2.0, 4.0])
def test_it_is_pasted_so_often_at_its_own_time(gain: float) -> None:
    tiles = Tiles(parts=(MARK, MARK[:, ::2, ::2] * 0, MARK[:, ::2, ::2] * 0))
    host = footage(5, marked=False, seconds=2 * PERIOD_SECONDS)
    for before, after in zip(host.play(), pasted(host, tiles, gain).play(), strict=True):
        added = after.luma.astype(float) - before.luma
        expected = np.tile(MARK[int(before.time / STATE_SECONDS) % STATES], (2, 4))[:HEIGHT, :WIDTH]
        assert float((added * expected).mean()) == pytest.approx(gain * PASTED_RMS * 3, rel=0.15)


def test_a_stream_of_estimates_is_held_to_the_hosts_times() -> None:
    host = footage(5, marked=False)
    marked = footage(2, marked=True)
    last = list(pasted(host, lambda: smooth(marked), 1.0).play())[-1]
    [*_, (_, fine)] = smooth(marked)
    plain = [*host.play()][-1]
    assert np.abs(last.luma - np.clip(plain.luma + fine[0], 0, 255)).max() <= 1


def test_every_family_has_a_victim_and_similar_shots() -> None:
    made = shots([], 4)
    names = [shot.name for shot in made]
    assert len(set(names)) == len(names)
    assert {shot.material for shot in made} == {RENDERED} != {REAL}
    for family in {shot.family for shot in made}:
        changes = [shot.change for shot in made if shot.family == family]
        assert changes.count("") == 1
        assert len(changes) >= 4
