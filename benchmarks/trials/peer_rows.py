"""Rows of the comparison with peers, out of cells and matches: detection rates, bits, prices, seconds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.attacks.catalog import SUITE
from benchmarks.common import Conditions, Row, mean, median, once, rate
from benchmarks.trials import decision
from benchmarks.trials.cells import MARKED, Result
from benchmarks.trials.decision import RATES, Scores, Threshold
from benchmarks.trials.matching import CHROMA, CLOSE
from benchmarks.trials.peers import bits_of
from benchmarks.trials.running import CANNOT, DONE, EXACT
from benchmarks.trials.schemes import KNOWN, scheme_of

OURS: Final = KNOWN
CALLED: Final = "countermark"  # in rows
DETECTED: Final = "detected"
BITS: Final = "bit accuracy"
AHEAD: Final = "rows on which no peer is ahead"
UNITS: Final = {
    "vmaf loss": "points", "bitrate": "share", "psnr": "dB", CHROMA: "dB", "ssim": "index",
    "flicker": "grey levels",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """All that one scheme gave at one size: ``scheme`` as it is asked for, its matches and its cells."""

    scheme: str
    size: str
    matches: tuple[Result, ...]
    cells: tuple[Result, ...]

    @property
    def name(self) -> str:
        """In rows: without a folder of weights."""
        return CALLED if self.scheme == OURS else self.scheme.partition("=")[0]


def rows(heard: Sequence[Heard]) -> list[Row]:
    """Everything."""
    attacked = [row for one in heard for row in _attacked(one)]
    priced = [row for one in heard for row in [*_prices(one), *_seconds(one)]]
    return [*attacked, *_ahead(attacked), *priced]


def _attacked(heard: Heard) -> list[Row]:
    done = [one for one in heard.cells if one["state"] == DONE]
    empty = [one for one in done if one["cell"]["base"]["kind"] != MARKED]
    nulls = {one["digest"]: decision.without_mark(one) for one in empty}
    pooled = _joined(nulls.values())
    made: list[Row] = []
    for (attack, material), group in _by_attack(heard.cells).items():
        told: dict[str, str | int | float | bool | None] = {
            "attack": attack, "scheme": heard.name, "size": heard.size, "material": material,
        }  # fmt: skip
        marked = [one for one in group if one["cell"]["base"]["kind"] == MARKED]
        read = [one for one in marked if one["state"] == DONE]
        if cannot := sum(one["state"] == CANNOT for one in marked):
            made.append(once("attack or mark does not apply", cannot, "cells", told))
        if not read or not pooled.size:
            continue
        here = _joined(nulls[one["digest"]] for one in empty if one["cell"]["attack"] == attack)
        for at in RATES:
            limits = [decision.threshold(here, pooled, at)]
            limits += [decision.proved(at)] if heard.scheme == OURS else []
            made += [_detected(read, limit, at, told) for limit in limits]
        made += _bits(heard, read, told)
        if here.size:
            made.append(once("highest score without a mark", float(here.max()), "score", told))
    return made


def _detected(read: Sequence[Result], limit: Threshold, at: float, told: Conditions) -> Row:
    above = sum(one["score"] > limit.value for one in read)
    how: Conditions = {
        "false positives": at, "threshold": limit.value, "from": limit.how, "scores": limit.n,
    }  # fmt: skip
    return rate(DETECTED, above, len(read), {**told, **how})


def _bits(heard: Heard, read: Sequence[Result], told: Conditions) -> list[Row]:
    scheme = scheme_of(heard.scheme, None)
    accuracies = []
    for one in read:
        count = len(one.get("evidence") or [])
        message = bits_of(scheme.payload(one["cell"]["base"]["key"]), count)
        accuracies.append(decision.bit_accuracy(one, message))
    exact = sum(one["payload"] == EXACT for one in read)
    return [mean(BITS, accuracies, "share", told), rate("payload exact", exact, len(read), told)]


def _ahead(attacked: Sequence[Row]) -> list[Row]:
    """Over the attacks that ours and at least one peer were tried with, ours at the proved bound."""
    made = []
    columns: dict[tuple[object, ...], dict[object, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in attacked:
        held = row.conditions
        ours = held["scheme"] == CALLED
        if row.metric == DETECTED and ours == (held["from"] == decision.PROVED):
            column = (held["size"], held["material"], held["false positives"])
            columns[column][held["attack"]][str(held["scheme"])] = row.value
    for (size, material, at), attacks in columns.items():
        tried = [by for by in attacks.values() if CALLED in by and len(by) > 1]
        if not tried:
            continue
        level = sum(by[CALLED] >= max(share for name, share in by.items() if name != CALLED) for by in tried)
        told: Conditions = {"size": str(size), "material": str(material), "false positives": float(str(at))}
        made.append(rate(AHEAD, level, len(tried), told))
    return made


def _prices(heard: Heard) -> list[Row]:
    """Of each clip, then their means."""
    made: list[Row] = []
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in heard.matches:
        base = one["cell"]["base"]
        told: Conditions = {
            "scheme": heard.name, "size": heard.size, "material": base["material"], "clip": base["name"],
        }  # fmt: skip
        if one["state"] != DONE:
            made.append(once("clip cannot be marked", 1, "clips", {**told, "reason": one["reason"]}))
            continue
        if one["strength"] is not None:
            near = abs(one["price"] - 1) <= CLOSE
            told = {**told, "strength": one["strength"], "tries": one["tries"], "at the price of ours": near}
        for name in UNITS:
            made.append(once(name, one["figures"][name], UNITS[name], told))
            groups[name, base["material"]].append(one["figures"][name])
        made.append(once("price", one["price"], "multiple of ours", told))
        groups["price", base["material"]].append(one["price"])
    for (name, material), values in groups.items():
        told = {"scheme": heard.name, "size": heard.size, "material": material}
        made.append(mean(f"{name}, mean", values, UNITS.get(name, "multiple of ours"), told))
    return made


def _seconds(heard: Heard) -> list[Row]:
    by: dict[str, list[float]] = defaultdict(list)
    for one in heard.cells:
        for phase, taken in one.get("seconds", {}).items():
            by[phase].append(taken)
    told = {"scheme": heard.name, "size": heard.size}
    made = [
        median("processor seconds of a cell", taken, "s", {**told, "phase": phase})
        for phase, taken in by.items()
    ]
    whole = sum(sum(taken) for taken in by.values()) + sum(one["cpu"] for one in heard.matches)
    return [*made, once("processor seconds of all cells and matches", whole, "s", told)]


def _joined(scores: Iterable[Scores]) -> Scores:
    return np.concatenate([np.empty(0), *scores])


def _by_attack(cells: Sequence[Result]) -> Mapping[tuple[str, str], list[Result]]:
    """By attack and material, in the catalog's order."""
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for one in cells:
        groups[one["cell"]["attack"], one["cell"]["base"]["material"]].append(one)
    order = list(SUITE)
    return {key: groups[key] for key in sorted(groups, key=lambda key: (order.index(key[0]), key[1]))}
