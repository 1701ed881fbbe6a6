import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watermark.carrier import mixture
from watermark.clocks import SAMPLES, Clock, grid, shares
from watermark.lattice import PERIOD_SECONDS, STATES
from watermark.windows import WINDOW_SECONDS

clocks = st.tuples(st.floats(0.6, 1.6), st.floats(0, 4))


@given(clocks, st.floats(0, 1e4))
def test_shares_are_the_embedders(clock, middle):
    (weights,) = shares(np.array([middle]), np.array([clock]))
    expected = np.zeros(STATES)
    for sample in range(SAMPLES):
        inside = ((sample + 0.5) / SAMPLES - 0.5) * WINDOW_SECONDS
        first, second, weight = mixture(clock[0] * (middle + inside) + clock[1])
        expected[first] += np.cos(weight * np.pi / 2) / SAMPLES
        expected[second] += np.sin(weight * np.pi / 2) / SAMPLES
    # One sample may fall to the other side of a change, by rounding.
    assert np.abs(weights[:, 0] - expected).max() <= 1.01 / SAMPLES
    assert np.abs(weights[:, 0] - expected).sum() <= 2.02 / SAMPLES


@given(clocks)
def test_a_window_shows_three_states_at_most(clock):
    weights = shares((np.arange(48) + 0.5) * WINDOW_SECONDS, np.array([clock]))[0]
    assert np.count_nonzero(weights > 1e-6, axis=0).max() <= 3
    energy = np.sum(weights**2, axis=0)
    assert energy.min() > 0.3
    assert energy.max() <= 1.0 + 1e-5


@given(clocks, st.integers(1, 50))
def test_a_whole_period_later_is_the_same(clock, periods):
    times = np.array([0.125, 1.625])
    later = Clock(clock[0], clock[1] + periods * PERIOD_SECONDS)
    one, other = shares(times, np.array([clock, later]))
    assert np.abs(one - other).max() <= 2.02 / SAMPLES


def test_the_grid_holds_every_offset_at_every_speed():
    found = grid(np.array([0.9, 1.0, 1.1]), 0.25)
    assert len(found) == 3 * 16 == len({tuple(clock) for clock in found.tolist()})
    assert found[:, 1].max() == pytest.approx(PERIOD_SECONDS - 0.25)
