"""Figures of what `face_checks` measured.

1. A share of frames or clips has its Wilson interval, which takes them as if each were somebody else's. So
   the same share also comes with an interval *over persons*: the persons are drawn again, with replacement,
   each time with what was shown of them and with the pairs among those drawn, and the threshold at which none
   of these pairs is false is found anew.
2. Pairs are counted as frames, as clips, and as two persons of whom any clip shows one and any portrait is of
   the other: of few persons there are many frames, and they say no more than the persons do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Conditions, Row, once, rate
from benchmarks.tools import face_halves
from benchmarks.tools.face_checks import NOBODY, OTHER, SAME, Measured
from benchmarks.tools.face_styles import KEPT_APART, LEARNT
from benchmarks.tools.face_trials import DRAWN, TURNED
from classifiers.thresholds import FACE_PORTRAIT, Calibration

REAL, RENDERED = "real", "rendered"
DRAWS: Final = 1000
SEED: Final = 5
Margins = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """By how much the best space is inside its threshold: ``own`` of each frame, ``others`` of each frame
    with a face and each other person.
    """

    told: Measured
    own: Margins
    others: Margins

    @property
    def who(self) -> str:
        """Who is shown."""
        return self.told.who

    @property
    def names(self) -> tuple[str, ...]:
        """The other persons."""
        return self.told.names


def rows(found: Sequence[Measured], calibrations: Sequence[Calibration]) -> list[Row]:
    """``calibrations``: of each space, in order."""
    thresholds = np.array([-one.layer(FACE_PORTRAIT).threshold for one in calibrations])
    clips = [
        Clip(told=one, own=_margins(one.own, thresholds), others=_margins(one.others, thresholds))
        for one in found
    ]
    at: Conditions = {"thresholds": " and ".join(f"{one:.3g}" for one in thresholds)}
    made: list[Row] = []
    for name, material, part in _parts(clips):
        if any(one.own.size for one in part) and any(one.others.size for one in part):
            made += _part_rows(part, {"material": material, "frames": name, **at})
    return made


def _margins(distances: NDArray[np.float64], thresholds: NDArray[np.float64]) -> Margins:
    shape = (-1,) + (1,) * (distances.ndim - 1)
    return np.asarray((thresholds.reshape(shape) - distances).max(axis=0), np.float64)


def _parts(clips: Sequence[Clip]) -> Iterator[tuple[str, str, list[Clip]]]:
    plain = [one for one in clips if one.told.trial.group not in (DRAWN, TURNED)]
    yield "photographs", REAL, plain
    colour = [_without(one, one.told.grey) for one in plain if one.told.who not in one.told.grey]
    if len(colour) < len(plain):
        yield "photographs in colour, of persons in colour", REAL, colour
    yield "photographs turned about an ellipsoid", RENDERED, _of(clips, TURNED)
    yield "photographs drawn by a filter", RENDERED, _of(clips, DRAWN)


def _without(clip: Clip, names: frozenset[str]) -> Clip:
    kept = [place for place, name in enumerate(clip.told.names) if name not in names]
    others = clip.others[:, kept]
    told = clip.told
    return Clip(
        told=Measured(
            who=told.who, trial=told.trial, registered=told.registered, own=told.own,
            others=told.others[:, :, kept], names=tuple(told.names[place] for place in kept), grey=names,
        ),
        own=clip.own, others=others,
    )  # fmt: skip


def _of(clips: Sequence[Clip], group: str) -> list[Clip]:
    return [one for one in clips if one.told.trial.group == group]


def _part_rows(clips: Sequence[Clip], told: Conditions) -> list[Row]:
    pairs = np.concatenate([one.others.ravel() for one in clips])
    best = np.concatenate([one.others.max(axis=0) for one in clips if len(one.others)])
    worst = float(pairs.max())
    persons = _persons(clips)
    met = {pair: max(margins) for pair, margins in _meetings(clips).items()}
    shown = {one.told.who for one in clips if one.told.registered != NOBODY}
    told = {**told, "persons shown": len(shown), "persons registered": len(persons)}
    clean = {**told, "thresholds": f"moved by {-worst:+.3f}: none of {len(pairs)} pairs false"}
    made = [
        rate("pairs of a frame and another person, false", int((pairs >= 0).sum()), len(pairs), told),
        rate("pairs of a clip and another person, false", int((best >= 0).sum()), len(best), told),
        rate("pairs of two persons, ever false", sum(one >= 0 for one in met.values()), len(met), told),
        once("nearest other person, beyond the threshold", -worst, "distance", {**told, "pairs": len(pairs)}),
    ]
    for registered in (OTHER, SAME):
        some = [one for one in clips if one.told.registered == registered]
        by = {"registered by": registered}
        for name, beyond, how in (("", 0.0, told), (", at 0 false pairs", np.nextafter(worst, 2.0), clean)):
            if some:
                made += _found_rows(some, beyond, name, {**how, **by})
    made += _drawn_again(clips, persons, clean)
    mine = [one for one in clips if one.told.registered == OTHER]
    made += face_halves.rows(clips, mine, {**told, "registered by": OTHER})
    for group, those in _groups(clips):
        for name, beyond, how in (("", 0.0, told), (", at 0 false pairs", np.nextafter(worst, 2.0), clean)):
            made += _found_rows(those, beyond, name, {**how, **group})
    return made


def _persons(clips: Sequence[Clip]) -> list[str]:
    """Who is registered."""
    return sorted({name for one in clips for name in one.told.names})


def _meetings(clips: Sequence[Clip]) -> dict[frozenset[str], list[float]]:
    """Of each two persons, the best margin of any clip of one with any portrait of the other."""
    met: dict[frozenset[str], list[float]] = {}
    for one in clips:
        if len(one.others):
            for name, margin in zip(one.told.names, one.others.max(axis=0), strict=True):
                met.setdefault(frozenset((one.told.who, name)), []).append(float(margin))
    return met


def _groups(clips: Sequence[Clip]) -> Iterator[tuple[Conditions, list[Clip]]]:
    """By group and by condition, whoever is shown and however registered."""
    mine = [one for one in clips if one.told.registered != NOBODY]
    for group in dict.fromkeys(one.told.trial.group for one in mine):
        if group not in (DRAWN, TURNED):
            yield {"group": group}, _of(mine, group)
    for styles, told in ((LEARNT, "filters learnt from"), (KEPT_APART, "filters kept apart")):
        those = [one for one in mine if one.told.trial.name in styles]
        if those:
            yield {"group": told}, those
    for name in dict.fromkeys(one.told.trial.name for one in mine):
        yield {"condition": name}, [one for one in mine if one.told.trial.name == name]


def _found_rows(clips: Sequence[Clip], beyond: float, name: str, told: Conditions) -> list[Row]:
    """By frame and by clip: a clip is found where one of its frames is."""
    own = np.concatenate([one.own for one in clips])
    hits = [bool((one.own >= beyond).any()) for one in clips]
    return [
        rate(f"person found in a frame{name}", int((own >= beyond).sum()), len(own), told),
        rate(f"person found in a clip{name}", sum(hits), len(hits), told),
    ]


def _drawn_again(clips: Sequence[Clip], persons: Sequence[str], told: Conditions) -> list[Row]:
    """Shares at no false pair, with an interval over persons."""
    everybody = sorted({*persons, *(one.told.who for one in clips)})
    place = {name: at for at, name in enumerate(everybody)}
    met = np.full((len(everybody), len(everybody)), -np.inf)
    for pair, margins in _meetings(clips).items():
        one, other = (place[name] for name in pair)
        met[one, other] = met[other, one] = max(margins)
    mine = [one for one in clips if one.told.registered == OTHER]
    if not mine:
        return []
    who = np.array([place[one.told.who] for one in mine])
    rng = np.random.default_rng(SEED)
    frames, whole = [], []
    for _ in range(DRAWS):
        drawn = np.bincount(rng.integers(0, len(everybody), len(everybody)), minlength=len(everybody))
        there = np.flatnonzero(drawn)
        beyond = float(met[np.ix_(there, there)].max())
        weights = drawn[who].astype(float)
        if weights.sum():
            frames.append(float(np.average([np.mean(one.own > beyond) for one in mine], weights=weights)))
            whole.append(float(np.average([(one.own > beyond).any() for one in mine], weights=weights)))
    beyond = float(met.max())
    return [
        Row(
            metric=f"person found in a {name}, at 0 false pairs, over persons", value=value, unit="share",
            n=len({one.told.who for one in mine}),
            conditions={**told, "registered by": OTHER, "draws": DRAWS},
            interval=(float(np.quantile(shares, 0.025)), float(np.quantile(shares, 0.975))),
        )
        for name, shares, value in (
            ("frame", frames, float(np.mean([np.mean(one.own > beyond) for one in mine]))),
            ("clip", whole, float(np.mean([(one.own > beyond).any() for one in mine]))),
        )
    ]  # fmt: skip
