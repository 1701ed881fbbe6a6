"""Trials of descriptions: what a threshold is made of, and invented words that are the same each time."""

import numpy as np

from benchmarks.tools import invented
from benchmarks.tools.described import Trials, halves, threshold_at
from classifiers.weighing import FUSED, LISTED


def trials() -> Trials:
    """Six characters, two prompts each: 0.9 for their own, 0.1 for others, but for the first one's."""
    own = np.repeat(np.arange(6), 2)
    scores = np.full((12, 6), 0.1, np.float32)
    scores[np.arange(12), own] = 0.9
    scores[:2, 1:] = 0.7  # the first resembles everybody
    lists = np.full_like(scores, -np.inf)
    return Trials(scores=np.stack([scores, lists]), own=own, layers=np.array([FUSED] * 12))


def test_a_threshold_is_made_without_the_character_it_is_tried_on() -> None:
    made = trials()
    assert made.alike(FUSED).max() == np.float32(0.7)
    assert made.alike(FUSED, without=0).max() == np.float32(0.1)
    owner, first, alike = made.left_out(made.own == 0, 0.05, {})
    assert all(first)
    assert all(owner)
    assert all(alike)  # its threshold, of the others' look-alikes, is 0.1
    owner, _, alike = made.left_out(made.own == 1, 0.001, {})
    assert all(owner)
    assert not any(alike)  # others' thresholds know the first
    assert not any(made.left_out(made.own == 1, 0.05, {FUSED: 0.95})[0])
    assert len(owner) == 2 * sum(bool(half[1]) for half in halves(6))


def test_a_passage_of_another_layer_counts_by_that_layers_threshold() -> None:
    made = trials()
    scores = made.scores.copy()
    layers = made.layers.astype("U20")
    layers[10:] = LISTED
    scores[1, 10:] = 0.05
    scores[1, 0, 0] = 0.06  # part of the first one's prompt is a list
    mixed = Trials(scores=scores, own=made.own, layers=layers)
    first = np.arange(12) == 0
    assert all(mixed.left_out(first, 0.05, {FUSED: 0.95})[0])
    assert not any(mixed.left_out(first, 0.05, {FUSED: 0.95, LISTED: 0.07})[0])


def test_the_threshold_that_a_share_reaches() -> None:
    values = np.arange(100, dtype=np.float32)
    assert np.mean(values >= threshold_at(values, 0.05)) == 0.05


def test_invented_words_are_the_same_each_time() -> None:
    assert invented.attributes(900, 1) == invented.attributes(900, 1)
    assert len(set(invented.attributes(900, 1))) == 900
    assert invented.descriptions(6, 2) == invented.descriptions(6, 2) != invented.descriptions(6, 3)
