"""How schemes are compared: thresholds, prices, tables; and what their detection and marking cost."""

import itertools
import json
import math
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks import detection, throughput
from benchmarks.attacks.catalog import SUITE
from benchmarks.attacks.footage import Frame
from benchmarks.tools import attack_table, tail_plot
from benchmarks.trials import decision, material
from benchmarks.trials.matching import BYTES, LOSS, MOST, dearer, nearest
from benchmarks.trials.peers import bits_of, correlation, spread

RATE = 12.0


@given(st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=8, max_size=8), st.floats(0.1, 3))
def test_no_evidence_makes_a_random_message_likely(evidence: list[float], at: float) -> None:
    """The bound that rule 3 of `peers` names, over all messages of eight bits."""
    scores = [correlation(np.array(evidence), message) for message in itertools.product((0, 1), repeat=8)]
    assert max(scores) <= math.sqrt(8) + 1e-9
    assert np.mean([score >= at for score in scores]) <= math.exp(-(at**2) / 2) + 1e-12


@given(st.integers(1, 200), st.integers(1, 24))
def test_frames_are_spread_evenly(count: int, most: int) -> None:
    frames = [Frame(float(index), np.zeros((3, 2), np.uint8)) for index in range(count)]
    times = [frame.time for frame in spread(iter(frames), most)]
    assert len(times) == min(most, count)
    assert times == sorted(set(times))
    if most > 1 and count >= most:
        gaps = np.diff(times)
        assert gaps.max() <= 2 * max(1, count / most) + 1
        assert times[0] == 0


@given(st.integers(0, 2**64 - 1))
def test_bits_are_those_of_the_number(number: int) -> None:
    assert int("".join(map(str, bits_of(number, 64))), 2) == number


def test_a_threshold_is_read_off_where_there_are_scores_enough() -> None:
    scores = np.random.default_rng(1).standard_normal(20_000)
    found = decision.threshold(scores[:15_000], scores, 1e-3)
    assert found.how == decision.ATTACK
    assert np.mean(scores[:15_000] > found.value) == pytest.approx(1e-3, rel=1e-6)
    assert decision.threshold(scores[:500], scores, 1e-3).how == decision.POOLED
    tail = decision.threshold(scores[:500], scores, 1e-6)
    assert (tail.how, tail.n) == (decision.TAIL, 20_000)
    assert tail.value == pytest.approx(4.753, abs=0.1)
    with pytest.raises(ValueError, match="no scores"):
        decision.threshold(scores[:0], scores[:0], 1e-3)


def test_a_proved_threshold_counts_what_reaches_it() -> None:
    limit = decision.proved(1e-6).value
    assert -math.log10(1e-6) > limit
    assert not limit < 5.999


def test_scores_without_a_mark_are_those_of_random_messages() -> None:
    evidence = np.random.default_rng(2).normal(0.3, 1, 64)  # biased towards ones
    result = {"digest": "some cell", "score": 1.0, "evidence": evidence.tolist()}
    scores = decision.without_mark(result)
    assert len(scores) == decision.DRAWN
    assert abs(scores.mean()) < 0.06
    assert scores.std() == pytest.approx(1, abs=0.05)
    assert np.array_equal(scores, decision.without_mark(result))
    assert list(decision.without_mark({"digest": "d", "score": 2.5, "evidence": []})) == [2.5]
    assert not decision.without_mark({"digest": "d", "score": 0.0, "evidence": [0.0] * 8}).size


def test_bits_are_counted_one_by_one_or_not_at_all() -> None:
    assert decision.bit_accuracy({"evidence": [0.2, -1, 3, -0.1], "payload": "none"}, (1, 1, 1, 0)) == 0.75
    assert decision.bit_accuracy({"evidence": [0.0, 0.0], "payload": "none"}, (1, 1)) == 0.5
    assert decision.bit_accuracy({"evidence": [], "payload": "exact"}, ()) == 1
    assert decision.bit_accuracy({"evidence": [], "payload": "wrong"}, ()) == 0.5


@pytest.mark.parametrize(
    ("price", "strength"),
    [
        (lambda s: s, 2.0), (lambda s: s**2 / 32, 8.0), (lambda s: 16 * s, 0.125), (lambda s: s / 1000, 8.0),
        (lambda s: 1000 * s, 1 / 16), (lambda s: s**3, 2 ** (1 / 3)),
    ],
)  # fmt: skip
def test_the_strength_that_costs_as_much(price: Callable[[float], float], strength: float) -> None:
    target = {LOSS: 2.0, BYTES: 0.02}
    tried = nearest(lambda s: {LOSS: price(s), BYTES: price(s) / 200}, target)
    best = min(tried, key=lambda one: abs(math.log(one.price)))
    assert len(tried) <= MOST
    assert best.strength == pytest.approx(strength, rel=0.12)


def test_the_dearer_price_counts_and_noise_does_not() -> None:
    assert dearer({LOSS: 1.0, BYTES: 0.2}, {LOSS: 2.0, BYTES: 0.1}) == pytest.approx(2.0)
    assert dearer({LOSS: -0.5, BYTES: -0.01}, {LOSS: 2.0, BYTES: 0.1}) == 1e-3
    assert dearer({LOSS: 0.05, BYTES: 0.0}, {LOSS: 0.0, BYTES: -0.1}) == pytest.approx(0.5)


def _document(suite: str, metric: str, **conditions: Any) -> dict[str, Any]:
    told = {"attack": "none", "size": "480p24", "material": "real"} | conditions
    row = {
        "metric": metric,
        "value": 0.5,
        "unit": "share",
        "n": 8,
        "interval": [0.2, 0.8],
        "conditions": told,
    }
    return {"suite": suite, "commit": "c", "rows": [row]}


def test_results_become_tables_and_pictures() -> None:
    document = _document(
        "peers", "detected", scheme="a<b", **{"false positives": 1e-6, "from": "proved bound"}
    )
    told = attack_table.markdown(document)
    assert "**Detected at a false-positive rate of 1e-06, 480p24, real clips**" in told
    assert "| `none` | 0.5 (0.20–0.80, n=8) |" in told
    drawn = attack_table.svg(attack_table.tables(document)[0])
    words = [entry.text for entry in ElementTree.fromstring(drawn).iter() if entry.text]
    assert "a<b (proved)" in words
    suite = attack_table.markdown(_document("watermark", "payload exact", length="shorter", reached="missed"))
    assert "480p24, real, shorter" in suite
    assert "n=8, missed)" in suite


def test_published_figures_have_sources_and_stand_beside_ours() -> None:
    for one in json.loads(attack_table.PUBLISHED.read_text(encoding="utf-8")):
        assert "https://" in one["source"] or "design notes" in one["source"]
        assert one["attack"] is None or SUITE[one["attack"]].peer
        assert one["unit"] != "share" or 0 <= one["value"] <= 1
    document = _document("watermark", "payload exact", size="native", attack="crop_0.71")
    (line,) = [line for line in attack_table.published(document).splitlines() if "`crop_0.71` | TPR" in line]
    assert "| 0.5417 share |" in line
    assert "| 0.5 (0.20–0.80, n=8) |" in line


def test_a_drawn_stream_never_shows_the_same_twice() -> None:
    stream = detection.drawn(96, 12.0, 10.0)
    frames = [frame.luma.copy() for frame in stream.play()]
    assert len(frames) == 120
    assert len({frame.tobytes() for frame in frames}) == 120


def test_memory_is_looked_at_while_a_stream_is_read() -> None:
    found = detection._streamed(detection.Stream(minutes=0.1, lines=256, rate=12.0, marked=True))
    assert found.payload == "exact"
    assert len(found.looks) == detection.PERIODS
    highest = max(mib for _, mib in found.looks)
    assert 20 < highest <= found.peak
    assert found.pixels == 72 * 256 * 456
    assert found.cpu > 0


def test_marking_is_compared_within_a_piece() -> None:
    frames = list(detection.drawn(256, RATE, 4 / RATE).play())
    piece = throughput._piece(frames, throughput.marker(456, 256), None, RATE)
    assert piece.x264 > 0
    assert piece.ours >= 0
    assert piece.peer is None
    steady = (
        throughput.Piece(ours=0.002, x264=0.05, peer=0.2),
        throughput.Piece(ours=0.004, x264=0.05, peer=0.2),
    )
    measured = throughput.Measured(first=steady[1], steady=steady, pixels=1920 * 1080)
    rows = {row.metric: row for row in throughput.rows("1080p", "real", [measured])}
    assert rows["share of x264 medium"].value == pytest.approx(0.06)
    assert not rows["share of x264 medium"].conditions["reached"]
    assert rows["times as fast as dwtDctSvd"].value == pytest.approx(75)
    assert rows["times as fast as dwtDctSvd"].conditions["reached"]


def test_a_clip_is_swung_to_any_length(tmp_path: Path) -> None:
    plain = detection.drawn(96, RATE, 3 / RATE)
    shown = [frame.image.tobytes() for frame in material.swung(plain, tmp_path / "s", 7 / RATE).play()]
    first, second, third = (frame.image.tobytes() for frame in plain.play())
    assert shown == [first, second, third, third, second, first, first]


def test_a_tail_is_drawn_with_its_bounds() -> None:
    def row(t: float, hits: int) -> dict[str, Any]:
        return {
            "metric": tail_plot.METRIC, "value": hits / 1000, "n": 1000,
            "interval": [max(0.0, hits / 1000 - 0.001), hits / 1000 + 0.004],
            "conditions": {"t": t, "bound": 3.18 * math.exp(-t * t), "Hoeffding": math.exp(-t * t / 2)},
        }  # fmt: skip

    drawn = ElementTree.fromstring(tail_plot.svg([row(3.0, 0), row(1.0, 158)]))
    kinds = [element.tag.rpartition("}")[2] for element in drawn]
    assert kinds.count("polyline") == 2
    rings = [one for one in drawn if one.get("fill") == "none" and one.tag.endswith("circle")]
    assert len(rings) == 1  # no z reached 3
    assert float(str(rings[0].get("cx"))) > 300
    with pytest.raises(ValueError, match="no row 'tail of z"):
        tail_plot.svg([])
