from dataclasses import replace

import numpy as np
import pytest

from watermark import sync
from watermark.clocks import Clock, grid, shares
from watermark.detector import PEAKS
from watermark.geometry import FrameGeometry
from watermark.keys import DetectionKey
from watermark.lattice import ORIGIN_STEPS, PERIOD_SECONDS, STATE_SECONDS, STATES, lattice, origin
from watermark.windows import CHROMA_LINES, LINES, Block, blocks

PLAIN = FrameGeometry()
CLOCKS = grid(np.ones(1), 0.125)


def block_of(frames):
    (block,) = blocks(frames)
    return block


def flipped(block):
    """The block as if the clip had been mirrored."""
    return replace(block, windows=block.windows[..., ::-1], chroma=block.chroma[..., ::-1])


def other_carrier(design):
    """The same lattice with the signs and the interleaving of somebody else."""
    stranger = lattice(DetectionKey(epoch=0, secret=b"\x01" * 32))
    parts = zip("yuv", design.patterns, stranger.patterns, strict=True)
    return replace(design, **{name: replace(a, signs=b.signs, coded=b.coded) for name, a, b in parts})


def same(one, other):
    """Whether two sets of spectra are equal to the last bit."""
    arrays = zip((one.template, *one.payloads), (other.template, *other.payloads), strict=True)
    return all(np.array_equal(a, b) for a, b in arrays)


def place(values, times, design, frame):
    return sync.place(values, times, design, frame, CLOCKS, PEAKS)


@pytest.fixture(scope="module", params=["colour", "grey"])
def found(request, marked, grey, key):
    block = block_of(marked if request.param == "colour" else grey(marked))
    return sync.coefficients(block, lattice(key), PLAIN), block.times


@pytest.mark.parametrize(("plane", "lines"), [("y", LINES), ("u", CHROMA_LINES)])
def test_coefficients_are_those_of_a_direct_sum(key, plane, lines):
    width = lines * 300 // 256
    windows = np.random.default_rng(0).standard_normal((2, lines, width)).astype(np.float32)
    pattern, frame = getattr(lattice(key), plane), FrameGeometry.stretched(1.3, 0.9)
    points = np.concatenate([pattern.template.points, pattern.points])
    got = sync.picked(windows, points, frame)
    rows, columns = np.mgrid[:lines, :width] + 0.5
    for index in (0, 31, 32, 100, len(points) - 1):
        kx, ky = points[index]
        wave = np.exp(-2j * np.pi * (kx * 2 * columns / lines / 1.3 + ky * 2 * rows / lines / 0.9))
        assert got[1, index] == pytest.approx(np.sum(windows[1] * wave), rel=1e-3, abs=0.5)


def test_planes_are_brought_to_equal_noise_and_share_one_template(key):
    rng, design = np.random.default_rng(1), lattice(key)
    luma = rng.standard_normal((3, 256, 300)).astype(np.float32)
    chroma = rng.standard_normal((2, 3, 128, 150)).astype(np.float32)
    chroma[1] *= 20
    block = Block(windows=7 * luma, chroma=chroma, times=np.arange(3) / 4, frames=3, end=0.75)
    found = sync.coefficients(block, design, PLAIN)
    assert found.template.shape == (3, 48 + 32)
    for payload, pattern in zip(found.payloads, design.patterns, strict=True):
        assert payload.shape == (3, len(pattern.points))
        assert np.sqrt(np.mean(np.abs(payload) ** 2)) == pytest.approx(1.0, abs=0.15)
    assert np.sqrt(np.mean(np.abs(found.template[:, 48:]) ** 2)) == pytest.approx(1.0, abs=0.25)
    # The two planes of colour, each in units of its own level, in sum.
    u, v = (sync.picked(plane, design.u.template.points, PLAIN) for plane in chroma)
    levels = [
        np.sqrt(np.mean(np.abs(sync.picked(plane, points, PLAIN)) ** 2))
        for plane, points in (
            (part, np.concatenate([pattern.template.points, pattern.points]))
            for part, pattern in zip(chroma, (design.u, design.v), strict=True)
        )
    ]
    wanted = (u / levels[0] + v / levels[1]) / np.sqrt(2)
    assert found.template[:, 48:] == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_a_grey_clip_has_nothing_in_colour(marked, grey, key):
    block = block_of(grey(marked))
    found = sync.coefficients(block, lattice(key), PLAIN)
    assert found.template[:, :48].all()
    assert not found.template[:, 48:].any()
    assert found.payloads[0].any()
    assert not found.payloads[1].any()
    assert not found.payloads[2].any()


def test_a_mirrored_frame_gives_the_same_coefficients(marked, key):
    block, design = block_of(marked[:12]), lattice(key)
    straight = sync.coefficients(block, design, PLAIN)
    mirror = sync.coefficients(flipped(block), design, FrameGeometry.stretched(1, 1, mirrored=True))
    # Mirrored about the corner: the pattern lies a frame's width further, and complex64 rounds.
    for plane, lines, pattern, one, other in zip(
        (block.windows, *block.chroma), (LINES, CHROMA_LINES, CHROMA_LINES), design.patterns,
        straight.payloads, mirror.payloads, strict=True,
    ):  # fmt: skip
        wide = np.exp(-4j * np.pi * pattern.points[:, 0] * plane.shape[2] / lines)
        assert np.abs(one - other * wide).max() < 2e-3 * np.abs(one).max()


def apart(one, other, period=1.0):
    """Distance on a circle."""
    return min((one - other) % period, (other - one) % period)


def test_the_untouched_place_is_found_at_the_payloads_origin(found, key, payload):
    (values, times), design, began = found, lattice(key), origin(key, payload)
    placements = place(values, times, design, PLAIN)
    assert len(placements) == PEAKS
    best = max(placements, key=lambda placement: placement.statistic)
    assert best.statistic > 10
    assert all(apart(got, want) <= 1 / 128 for got, want in zip(best.shift, began.shift, strict=True))
    assert apart(best.clock.offset, began.seconds, PERIOD_SECONDS) <= 0.13
    plain = sync.at(values, times, design, PLAIN, Clock(offset=began.seconds), began.shift)
    assert plain.statistic == pytest.approx(best.statistic, rel=0.15)
    first, second = sync.at_origins(values, times, design, PLAIN, grid(np.ones(1), STATE_SECONDS), 2)
    assert (first.shift, first.clock.offset) == began
    assert first.statistic == pytest.approx(plain.statistic, rel=1e-4)
    assert second.statistic < first.statistic
    for part in (*second.shift, second.clock.offset / PERIOD_SECONDS):
        assert (part * ORIGIN_STEPS).is_integer()


@pytest.mark.parametrize(("left", "top"), [(30, 16), (6, 62)])
def test_a_crop_is_found_as_a_shift(marked, changed, key, payload, left, top):
    # Padded back to the old size by grey, so that only the place of the pattern changes.
    def moved(part):
        down, right = top * part.shape[0] // 240, left * part.shape[1] // 320
        return np.pad(part[down:, right:], ((0, down), (0, right)), constant_values=115)

    block = block_of(changed(marked, moved))
    best = place(sync.coefficients(block, lattice(key), PLAIN), block.times, lattice(key), PLAIN)[0]
    # Where the pattern's origin now lies, in tiles of 120.
    began = origin(key, payload).shift
    expected = (began[0] - left / 120) % 1, (began[1] - top / 120) % 1
    for got, want in zip(best.shift, expected, strict=True):
        gap = abs(got - want) % 1
        assert min(gap, 1 - gap) < 0.02


def test_a_trimmed_start_is_found_as_an_offset(marked, key, payload):
    cut = [frame._replace(time=frame.time - 18 / 12) for frame in marked[18:]]
    block = block_of(cut)
    best = place(sync.coefficients(block, lattice(key), PLAIN), block.times, lattice(key), PLAIN)[0]
    assert apart(best.clock.offset, origin(key, payload).seconds + 18 / 12, PERIOD_SECONDS) < 0.13


def test_refinement_never_loses(found, key):
    values, times = found
    design = lattice(key)
    for placement in place(values, times, design, PLAIN):
        spectra = shares(times, np.array([placement.clock]))[0] @ values.template
        products = spectra * np.conj(design.template.phasors)
        kx, ky = design.template.points.T
        grid = np.arange(sync.GRID) / sync.GRID
        waves_x, waves_y = np.exp(2j * np.pi * np.outer(grid, kx)), np.exp(2j * np.pi * np.outer(grid, ky))
        coarse = np.einsum("yk,xk,k->yx", waves_y, waves_x, products.sum(axis=0), optimize=True).real.max()
        norm = np.sqrt(np.sum(np.abs(products) ** 2))
        assert placement.statistic >= coarse / norm * (1 - 1e-4)


def test_all_fine_places_lie_on_one_grid(found, key):
    # What the presence bound counts: shifts are multiples of 1/256 of a tile, offsets of 1/32 period.
    values, times = found
    for placement in place(values, times, lattice(key), PLAIN):
        steps = np.array(placement.shift) * sync.GRID * (sync.FINE - 1) / 2
        assert np.abs(steps - np.round(steps)).max() < 1e-6
        assert (placement.clock.offset / PERIOD_SECONDS * 32).is_integer()


def test_no_place_depends_on_the_carrier_key(found, key):
    values, times = found
    design = lattice(key)
    mixed = other_carrier(design)
    pairs = zip(place(values, times, design, PLAIN), place(values, times, mixed, PLAIN), strict=True)
    for one, other in pairs:
        assert (one.clock.offset, one.shift, one.statistic) == (
            other.clock.offset,
            other.shift,
            other.statistic,
        )
        assert same(one.spectra, other.spectra)


def test_strengths_are_the_surfaces_at_one_shift(found, key):
    values, times = found
    design, clocks = lattice(key), CLOCKS[::5]
    surface = sync.surfaces(values, times, design, clocks).reshape(-1, sync.GRID, sync.GRID)
    for x, y in ((0, 0), (5, 60)):
        one = sync.strengths(values, times, design, clocks, (x / sync.GRID, y / sync.GRID))
        assert one == pytest.approx(surface[:, y, x], rel=1e-3, abs=1e-2 * float(surface.max()))


@pytest.mark.parametrize("clock", [Clock(1.0, 1.3), Clock(0.8, 2.0), Clock(1.25, 0.5)])
@pytest.mark.parametrize("colour", [True, False])
def test_a_pattern_alone_is_placed_exactly(scene, key, clock, colour):
    design, shift = lattice(key), (0.30, 0.71)
    block = scene(design, PLAIN, colour=colour, clock=clock, shift=shift, noise=1.0)
    values = sync.coefficients(block, design, PLAIN)
    clocks = np.concatenate([CLOCKS, grid(np.array([0.8, 1.25]), 0.25)])
    best = sync.place(values, block.times, design, PLAIN, clocks, 1)[0]
    assert best.clock.speed == clock.speed
    assert best.clock.offset == pytest.approx(clock.offset, abs=0.13)
    assert best.shift == pytest.approx(shift, abs=0.01)
    assert best.statistic > 10


def test_gains_are_what_is_seen_of_each_state(found, key):
    values, times = found
    some = times < 2
    first = values.mixed(np.eye(len(times), dtype=np.float32)[some])
    seen = sync.at(first, times[some], lattice(key), PLAIN).gains
    assert seen[:4].min() > 1.2  # two windows each, but for the fades
    assert seen[4] < 0.2  # the fade into it
    assert not seen[5:].any()


def test_the_template_of_each_plane_has_a_statistic_of_its_own(scene, key):
    design = lattice(key)
    block = scene(design, PLAIN, colour=True, noise=1.0)
    noise = np.random.default_rng(2).standard_normal(block.chroma.shape).astype(np.float32)
    for colour, luma in ((False, True), (True, False)):
        one = replace(
            block,
            windows=block.windows if luma else np.resize(noise[0], block.windows.shape),
            chroma=block.chroma if colour else noise,
        )
        placed = sync.at(sync.coefficients(one, design, PLAIN), block.times, design, PLAIN)
        y, u, v = sync.template_statistics(placed.spectra, design)
        assert u == v
        assert (y > 10) == luma
        assert (u > 10) == colour
        assert min(y, u) < 3.5
    whole = sync.at(sync.coefficients(block, design, PLAIN), block.times, design, PLAIN)
    y, u, _ = sync.template_statistics(whole.spectra, design)
    assert whole.statistic > max(y, u)


@pytest.mark.parametrize("colour", [True, False])
def test_nothing_gives_a_statistic_of_nothing(key, colour):
    windows = np.zeros((4, 256, 256), np.float32)
    chroma = np.zeros((2, 4, 128, 128), np.float32) if colour else None
    design = lattice(key)
    block = Block(windows=windows, chroma=chroma, times=np.arange(4) / 4 + 0.125, frames=4, end=1.0)
    found = sync.coefficients(block, design, PLAIN)
    for placement in place(found, block.times, design, PLAIN):
        assert placement.statistic == 0.0


@pytest.mark.parametrize("spread", ["even", "one strong", "steep"])
def test_the_template_statistic_stays_under_its_bound(spread):
    # P(t' ≥ t) ≤ exp(−t²) for uniform phases and any magnitudes (E exp(λ a cos φ) = I₀(λa) ≤ exp(λ²a²/4)).
    count = STATES * 80
    size = {"even": np.ones(count), "one strong": np.ones(count), "steep": 0.9 ** np.arange(count)}[spread]
    if spread == "one strong":
        size[0] = 60.0
    phases = np.random.default_rng(4).uniform(0, 2 * np.pi, (10_000, count)).astype(np.float32)
    statistic = np.cos(phases) @ size / np.sqrt(np.sum(size**2))
    for t in (0.9, 1.5, 2.0):
        assert np.mean(statistic >= t) <= np.exp(-t * t)
