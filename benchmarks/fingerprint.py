"""The perceptual fingerprint and the search by content: false matches, recall, and a million releases.

Clips are drawn in families of which all members are others (`benchmarks/trials/likeness.py`); real ones are
cut into parts. No pair that is compared shows the same, so every match is false. Families with even numbers
are the half on which thresholds were chosen, those with odd ones the half that tests them. Recall is measured
among made-up releases (`benchmarks/trials/crowd.py`), which memory and times are of, too. Clips are kept in a
folder: a second run does not draw them again.
"""

import os
import resource
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks import common, watermark
from benchmarks.common import Row, once, rate, say
from benchmarks.trials import likeness, material
from benchmarks.trials.crowd import closeness, crowd, loader
from benchmarks.trials.likeness import Clip
from benchmarks.trials.likeness_attacks import ATTACKS, planes_of
from benchmarks.trials.likeness_pairs import Judged, Kept, distances, judged, kept
from pipeline.credentials import fingerprint as prints
from pipeline.credentials.moments import stored as parted
from pipeline.verify import similar
from pipeline.verify.similar import ClipQuery, Confirmed, Found, Similar
from pipeline.verify.similar_keys import Keys, stored_keys
from pipeline.verify.similar_query import asked

SUITE: Final = "fingerprint"
CELLS: Final = Path(tempfile.gettempdir()) / "countermark-cells"
TAIL: Final = (0.0, 0.0001, 0.001, 0.01, 0.1, 0.5)
SIGNS: Final = 44
PAIRS, CROWD = "pairs", "crowd"


def main() -> int:
    """The command; 2 where there is nothing to try."""
    asked_for = _asked()
    at_commit, measured = common.commit(), common.machine()
    cv2.setNumThreads(1)
    try:
        sources = tuple(watermark.real_clips(asked_for))
    except material.NoMaterial as error:
        print(error, file=sys.stderr)
        return 2
    folder = asked_for.cells / "likeness"
    folder.mkdir(parents=True, exist_ok=True)
    clips = likeness.clips(asked_for.worlds, sources)
    queries = _queries(clips, asked_for.queries) if PAIRS in asked_for.parts else frozenset()
    say(f"{len(clips)} clips, {len(queries)} of them are searched for")
    known = [kept(one, one.footage(folder), query=one.name in queries) for one in clips]
    rows = [*measured, once("clips", len(clips), "count")]
    if PAIRS in asked_for.parts:
        rows += [*_fingerprints(known), *_pairs(known)]
    if CROWD in asked_for.parts:
        rows += _crowded(known, folder, asked_for)
    common.present(SUITE, [*rows, *common.machine()], at_commit, as_json=asked_for.json)
    return 0


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    add = parser.add_argument
    add("--clips", metavar="DIR", help="folder of video files; without it, drawn clips only")
    add(
        "--worlds", type=common.whole(4), default=48, help="families of drawn worlds; a fourth of other kinds"
    )
    add("--parts", nargs="+", choices=(PAIRS, CROWD), default=(PAIRS, CROWD), help="what is measured")
    add("--queries", type=common.whole(1), default=200, help="clips that are searched for among all others")
    add("--targets", type=common.whole(1), default=8, help="clips that are attacked and searched for")
    add("--releases", type=common.whole(0), default=1_000_000, help="made-up releases among which")
    add("--cells", type=Path, default=CELLS, metavar="DIR", help="where clips are kept")
    return parser.parse_args()


def _queries(clips: Sequence[Clip], count: int) -> frozenset[str]:
    """All first ones, then members of families by turns."""
    first = [one for one in clips if not one.change]
    rest = sorted((one for one in clips if one.change), key=lambda one: (one.change, one.family))
    picked = [*first, *rest[:: max(1, len(rest) // max(1, count - len(first)))]]
    return frozenset(one.name for one in picked[:count])


def _half(clip: Clip) -> str:
    number = clip.family.rpartition(" ")[2]
    even = int(number) % 2 == 0 if number.isdecimal() else len(clip.family) % 2 == 0
    return "calibration" if even else "test"


def _relation(query: Clip, other: Clip) -> str:
    """What makes a pair hard, or "others"."""
    if query.family == other.family:
        changes = sorted({query.change, other.change} - {""})
        first = likeness.EXTENSION if changes[0].startswith(likeness.EXTENSION) else changes[0]
        return f"{query.kind}: {first if len(changes) == 1 else 'two changes'}"
    if query.kind == other.kind and query.kind in (likeness.LANDSCAPE, likeness.TITLE):
        return f"{query.kind}s of one composition"
    return "others"


def _fingerprints(known: Sequence[Kept]) -> list[Row]:
    """How often fingerprints alone are alike, over all pairs of different clips."""
    found: dict[tuple[str, str], list[float]] = {}
    usable = [one for one in known if one.fingerprint.indices and one.fingerprint.doublings == 1]
    for one in known:
        if one.query is None or not one.query.fingerprint.indices:
            continue
        values = distances(one.query.fingerprint, [other.fingerprint for other in usable])
        for other, value in zip(usable, values, strict=True):
            if other.clip.name != one.clip.name and not np.isnan(value):
                for relation in ("all", _relation(one.clip, other.clip)):
                    found.setdefault((_half(one.clip), relation), []).append(float(value))
    rows = []
    for (half, relation), values_ in sorted(found.items()):
        told = {"half": half, "pairs": relation}
        for limit in (prints.MATCH_DISTANCE, 0.20, 0.15, 0.10, 0.05):
            hits = sum(value < limit for value in values_)
            rows.append(rate("fingerprints alike", hits, len(values_), told | {"below": limit}))
        for share in TAIL if relation in ("all", "others") else ():
            value = float(np.quantile(values_, share))
            rows.append(once("fingerprints, distance", value, "share", told | {"quantile": share}))
    return rows


def _pairs(known: Sequence[Kept]) -> list[Row]:
    """How often the search says that different clips are the same, of all pairs."""
    index = Similar({one.clip.name: one.stored for one in known}.get)
    index.add_all([(one.clip.name, one.stored) for one in known])
    totals: Counter[tuple[str, str]] = Counter()
    looked: dict[tuple[str, str], list[Judged]] = {}
    for number, one in enumerate(query for query in known if query.query is not None):
        for other in known:
            if other.clip.name != one.clip.name:
                totals[_half(one.clip), "all"] += 1
                totals[_half(one.clip), _relation(one.clip, other.clip)] += 1
        for pair in judged(one, known, index):
            for relation in ("all", _relation(pair.query, pair.other)):
                looked.setdefault((_half(one.clip), relation), []).append(pair)
        if number % 20 == 19:
            say(f"{number + 1} clips compared with all others")
    rows = []
    for (half, relation), pairs in sorted(totals.items()):
        mine = looked.get((half, relation), [])
        proved = sum(pair.proof is not None for pair in mine)
        told: dict[str, str | int] = {"half": half, "pairs": relation, "compared at all moments": proved}
        rows.append(rate("search says same", sum(pair.same for pair in mine), pairs, told))
        rows.append(rate("search finds it like", sum(_like(pair) for pair in mine), pairs, told))
    for pair in (pair for (_, relation), mine in looked.items() if relation == "all" for pair in mine):
        if pair.same:
            say(f"same, though others: {pair.query.name} | {pair.other.name} | {pair.proof}")
    return rows


def _like(pair: Judged) -> bool:
    return pair.proof is not None and pair.proof.structure >= similar.ALIKE


def _crowded(known: Sequence[Kept], folder: Path, asked_for: Namespace) -> list[Row]:
    """Recall of attacked clips in a crowd, with memory and times."""
    targets = _targets(known, asked_for.targets)
    families = {one.clip.family for one in targets}
    strangers = [one.stored for one in known if one.clip.family not in families]
    keys = [stored_keys(*parted(one.stored)) for one in known]
    keys = [one for one in keys if len(one.times)]
    before = _resident()
    began = time.monotonic()
    segments = crowd(keys, asked_for.releases, seed=63)
    say(f"{asked_for.releases} made-up releases after {time.monotonic() - began:.0f} s")
    index = Similar(loader({one.clip.name: one.stored for one in known}, strangers), segments)
    began = time.monotonic()
    index.add_all([(one.clip.name, one.stored) for one in known])
    told = {"releases": asked_for.releases}
    size, count = sum(one.size for one in index.segments), sum(len(one.names) for one in index.segments)
    rows = [
        once("seconds to take in a release", (time.monotonic() - began) / len(known), "s"),
        once("keys of a release, mean", float(np.mean([len(one.times) for one in keys])), "count"),
        once("index", size / 1e6, "MB", told), once("index, of a release", size / count, "bytes"),
        once("resident memory, more than before", (_resident() - before) / 1e6, "MB", told),
        *_closeness(targets, keys, index, folder),
    ]  # fmt: skip
    return rows + _recall(targets, index, folder, told)


def _targets(known: Sequence[Kept], count: int) -> list[Kept]:
    """First ones of families by turns of kinds, without titles, which are not searched for."""
    first = [one for one in known if not one.clip.change and one.clip.kind != likeness.TITLE]
    order = [first[index] for index in np.random.default_rng(63).permutation(len(first))]
    return order[:count]


def _recall(targets: Sequence[Kept], index: Similar, folder: Path, told: dict[str, int]) -> list[Row]:
    rows, seconds, spent = [], [], []
    for attack in ATTACKS:
        outcomes: Counter[str] = Counter()
        for number, target in enumerate(targets):
            query = ClipQuery.from_frames(planes_of(attack.apply(target.clip.footage(folder), number)))
            began = time.monotonic(), time.process_time()
            found = index.search(query, 5)
            seconds.append(time.monotonic() - began[0])
            spent.append(time.process_time() - began[1])
            outcomes.update(_outcome(found, target.clip.name))
        took = f"{np.median(seconds):.2f} s, {np.median(spent):.2f} s of processor"
        say(f"{attack.name}: {dict(outcomes)}, {took}")
        for what in ("first", "same", "others called same", "undecided"):
            rows.append(
                rate(
                    f"search in a crowd: {what}", outcomes[what], len(targets), told | {"attack": attack.name}
                )
            )
    for share in (0.5, 0.9, 0.99):
        rows.append(
            once("search in a crowd", float(np.quantile(seconds, share)), "s", told | {"quantile": share})
        )
        used = float(np.quantile(spent, share))
        rows.append(once("search in a crowd, processor", used, "s", told | {"quantile": share}))
    return rows


def _outcome(found: Found, name: str) -> Iterator[str]:
    if found.undecided:
        yield "undecided"
    if found.hits and found.hits[0].release == name:
        yield "first"
    for hit in found.hits:
        if hit.confirmed is Confirmed.SAME:
            yield "same" if hit.release == name else "others called same"


def _closeness(targets: Sequence[Kept], keys: Sequence[Keys], index: Similar, folder: Path) -> list[Row]:
    """How many releases are how near to a query: of the drawn ones, and of the crowd as it is made."""
    rows = []
    crowded = index.segments[0]
    for limit in (4, 8, 12):
        drawn: list[bool] = []
        made: list[bool] = []
        for target in targets:
            wanted = asked(ClipQuery.from_frames(planes_of(target.clip.footage(folder))).moments)
            if isinstance(wanted, str):
                continue
            ask = wanted.stages[0][0]
            drawn += [value < limit for value in closeness(ask.words, ask.masks, keys)]
            bits = np.bitwise_count((crowded.words[0, :60_000] ^ ask.words[0]) & ask.masks[0])
            made += [bool(value) for value in bits < limit]
        told = {"below": limit, "of": SIGNS}
        rows.append(rate("near a query, drawn and real clips", sum(drawn), len(drawn), told))
        rows.append(rate("near a query, keys of the crowd", sum(made), len(made), told))
    return rows


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
