"""How long does a new opt-out take to look back, and does it find everything?

1. Stored vectors of frames by the million, in clusters as frames of clips are: a subject with twenty
   pictures is looked for with the product's codes (`registry.past`), and what they let through is compared by
   the product's checks. The vectors lie in a file that stands in for the database's rows; brute force over
   the same vectors says what there is to find. The subject's pictures are near the frames of some releases,
   at cosines spread around the threshold.
2. Stored prompts: how many a second the sieve of names asks.
3. Real releases, published through the fence and scanned by the product: of each kind of wish, how many of
   those that it concerns are found, and how many of the others are not.

``python -m benchmarks.tools.registry_retroscan [--quick] [--vectors N] [--json]``
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import common
from benchmarks.common import Row, once, rate, say
from benchmarks.tools import fence_world as world
from benchmarks.tools.past_home import PastHome, opened
from classifiers import thresholds
from classifiers.base import Kind, Seen, Sight, Vectors
from classifiers.bounds import Bound, basis, bounds_of, reached, taken_off
from classifiers.matcher import NameMatcher
from classifiers.names import check_names
from classifiers.sieve import Sieve, skeleton
from classifiers.similarity import check_frames
from classifiers.thresholds import Calibration
from pipeline.clock import clock
from registry.codes import Part
from registry.past import SEGMENT_VECTORS, Past, Taken
from registry.subject_types import NameRow, SubjectRecord, VectorRow
from registry.subjectset import SubjectSet
from registry.vectors import unpacked

SPACE: Final = "clip-9ff7351efc66fa8a"
DIMENSION: Final = 256  # of the CLIP that ships
EACH: Final = 12  # vectors of a release
REFERENCES: Final = 20
VECTORS: Final = 12_000_000
QUICK_VECTORS: Final = 100_000
PLANTED: Final = 2000  # releases with a frame near one of the subject's pictures
CLUSTERS: Final = 4000
CHUNK: Final = EACH << 15
GOAL_SECONDS: Final = 10.0
GOAL_RECALL: Final = 0.999
PROMPTS: Final = 20_000
ROUNDS: Final = 30  # targets of each kind
THREADS: Final = 2


def measure(folder: Path, *, quick: bool, database: str | None = None, vectors: int = 0) -> list[Row]:
    """All rows; `database` is not used: what is measured in one is the same home on SQLite."""
    del database
    count = vectors or (QUICK_VECTORS if quick else VECTORS)
    rows = _vectors(folder / "vectors", count // EACH * EACH)
    rows += _prompts(PROMPTS // 10 if quick else PROMPTS)
    return rows + _kinds(folder / "home", 4 if quick else ROUNDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Vectors in a file, as the rows of `release_sight` hold them: the source of the codes."""

    path: Path
    count: int

    def counts(self, after: int) -> list[tuple[int, int]]:
        """`EACH` vectors of each release."""
        return [(seq, EACH) for seq in range(after + 1, self.count // EACH + 1)]

    def parts(self, after: int, upto: int) -> Iterator[Part]:
        """The vectors of the releases in a range."""
        plain = self.vectors(after * EACH, upto * EACH)
        for place in range(upto - after):
            seq = after + place + 1
            yield Part(_name(seq), seq, plain[place * EACH : (place + 1) * EACH])

    def leaf(self, seq: int) -> str:
        """A history that never changes."""
        return f"{seq:064x}"

    def vectors(self, first: int, last: int) -> Vectors:
        """Some of the vectors."""
        held = np.memmap(self.path, "<u2", "r", shape=(self.count, DIMENSION))
        return unpacked(held[first:last].tobytes(), DIMENSION)


def _vectors(folder: Path, count: int) -> list[Row]:
    folder.mkdir()
    calibration = thresholds.load(SPACE)
    [bound] = [one for one in bounds_of(calibration) if one.seen is Kind.FRAME]
    record = _subject(bound, calibration)
    pictures = np.stack([unpacked(row.vector, DIMENSION)[0] for row in record.vectors])
    source = Stored(path=folder / "vectors.f2", count=count)
    say(f"{count} vectors")
    exact = _generate(source, pictures, bound, calibration)
    taken = Taken(basis=basis(calibration), of=lambda seen: taken_off(Kind.FRAME, seen, calibration))
    past = Past(folder / "index", segment_vectors=min(SEGMENT_VECTORS, count // 4))
    began = time.perf_counter()
    past.search(source, SPACE, "frame", pictures[:0], bound.least, taken)
    building = time.perf_counter() - began
    say(f"codes made in {building:.1f} s")
    began = time.perf_counter()
    near = past.search(source, SPACE, "frame", pictures, bound.least, taken)
    searching = time.perf_counter() - began
    tail = range(near.upto + 1, count // EACH + 1)
    asked = sorted({*(int(one) for one in near.releases), *tail})
    left = _reached(source, asked, pictures, bound, calibration)
    found = _checked(source, left, record, calibration)
    whole = time.perf_counter() - began
    size = sum(path.stat().st_size for path in (folder / "index").iterdir())
    told = {
        "vectors": count, "dimension": DIMENSION, "releases": count // EACH, "references": REFERENCES,
        "threads": THREADS, "goal seconds": GOAL_SECONDS, "goal recall": GOAL_RECALL,
    }  # fmt: skip
    truth = _brute_force(source, exact, record, calibration)
    reachable = {seq for seq in exact if seq <= near.upto}
    kept = len(reachable & {int(one) for one in near.releases})
    return [
        once("retro-scan: making the codes", building, "s", told),
        once("retro-scan: codes", size / count, "bytes/vector", told),
        once("retro-scan: asking the codes", searching, "s", told),
        once("retro-scan: releases that the codes let through", len(near.releases), "releases", told),
        once("retro-scan: releases compared by the checks", len(left), "releases", told),
        once("retro-scan: whole, to the matches", whole, "s", told),
        rate("retro-scan: recall of the codes against brute force", kept, max(1, len(reachable)), told),
        rate("retro-scan: recall of the scan against brute force", len(truth & found), len(truth), told),
        once("retro-scan: found but not by brute force", len(found - truth), "releases", told),
        *_goals(count, whole, len(truth & found) / len(truth), told),
    ]


def _goals(count: int, seconds: float, recall: float, told: dict[str, Any]) -> list[Row]:
    if count < VECTORS:
        return []
    met = seconds <= GOAL_SECONDS and recall >= GOAL_RECALL
    return [once("retro-scan: goal met", float(met), "yes (1) or no (0)", told)]


def _name(seq: int) -> str:
    return f"{seq:036d}"


def _units(values: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / lengths, np.float32)


def _subject(bound: Bound, calibration: Calibration) -> SubjectRecord:
    """A subject with twenty pictures that are alike."""
    random = np.random.default_rng(1)
    centre = random.standard_normal(DIMENSION)
    drawn = centre + 0.6 * random.standard_normal((REFERENCES, DIMENSION))
    rows = tuple(
        VectorRow(
            subject="s", reference=f"{n}", space=calibration.space, kind=str(bound.registered), polarity=1,
            vector=vector.astype("<f2").tobytes(), dimension=DIMENSION,
        )
        for n, vector in enumerate(_units(drawn.astype(np.float32)))
    )  # fmt: skip
    return SubjectRecord(
        id="s", kind="character", name="S", owner="O", party="p", mode="block", description="",
        attributes=(), exclusions=(), names=(), vectors=rows, rules=(), state="active", seq=1,
    )  # fmt: skip


def _generate(source: Stored, pictures: Vectors, bound: Bound, calibration: Calibration) -> set[int]:
    """Write the vectors, and return the releases of which one reaches the bound, by brute force."""
    held = np.memmap(source.path, "<f2", "w+", shape=(source.count, DIMENSION))
    centres = np.random.default_rng(2).standard_normal((CLUSTERS, DIMENSION)).astype(np.float32)
    releases = source.count // EACH
    planted = np.sort(np.random.default_rng(3).choice(releases, min(PLANTED, releases // 20), replace=False))

    def make(first: int) -> set[int]:
        last = min(first + CHUNK, source.count)
        random = np.random.default_rng(1000 + first)
        plain = centres[np.repeat(random.integers(0, CLUSTERS, (last - first) // EACH), EACH)]
        plain = plain + random.standard_normal(plain.shape, np.float32)  # frames of one clip are alike
        here = planted[(planted >= first // EACH) & (planted < last // EACH)]
        near = random.integers(0, REFERENCES, len(here))
        # From far below the threshold to the picture itself.
        spread = random.uniform(0.0, 1.1, len(here)).astype(np.float32)[:, None] / np.sqrt(DIMENSION)
        drawn = pictures[near] + spread * random.standard_normal((len(here), DIMENSION), np.float32)
        plain[here * EACH - first + 3] = np.linalg.norm(plain[0]) * _units(drawn)
        packed = _units(plain).astype("<f2")
        held[first:last] = packed
        seen = unpacked(packed.tobytes(), DIMENSION)
        whole = seen.reshape(-1, EACH, DIMENSION)
        hits = reached(bound, list(whole), pictures, calibration)
        return {first // EACH + place + 1 for place, rows in enumerate(hits) if rows}

    with ThreadPoolExecutor(THREADS) as pool:
        found = set().union(*pool.map(make, range(0, source.count, CHUNK)))
    held.flush()
    return found


def _reached(
    source: Stored, asked: Sequence[int], pictures: Vectors, bound: Bound, calibration: Calibration
) -> list[int]:
    """Of these releases those of which a vector reaches the bound: what a page of the scan asks."""
    left = []
    for first in range(0, len(asked), 400):
        part = asked[first : first + 400]
        groups = [source.vectors((seq - 1) * EACH, seq * EACH) for seq in part]
        found = reached(bound, groups, pictures, calibration)
        left += [seq for seq, rows in zip(part, found, strict=True) if rows]
    return left


def _checked(
    source: Stored, asked: Sequence[int], record: SubjectRecord, calibration: Calibration
) -> set[int]:
    """Of these releases those in which the check finds the subject."""
    references, found = SubjectSet([record]), set()
    for seq in asked:
        frames = source.vectors((seq - 1) * EACH, seq * EACH)
        times = tuple(float(place) for place in range(EACH))
        sight = Sight(seen=(Seen(kind=Kind.FRAME, space=SPACE, vectors=frames, times=times),))
        if check_frames(sight, references, {SPACE: calibration}).findings:
            found.add(seq)
    return found


def _brute_force(
    source: Stored, exact: set[int], record: SubjectRecord, calibration: Calibration
) -> set[int]:
    """What the check finds among all releases: those that reach the bound, since no other can be found."""
    return _checked(source, sorted(exact), record, calibration)


def _prompts(count: int) -> list[Row]:
    """The sieve, and the check without it, on prompts of which some name one of ten subjects."""
    random = np.random.default_rng(5)
    words = ["an", "old", "harbour", "with", "boats", "gulls", "and", "a", "fisherman", "in", "fog", "slow",
             "camera", "film", "grain", "night", "city", "rain", "neon", "dog", "runs", "golden"]  # fmt: skip
    names = [world.word(target) for target in range(10)]
    texts = []
    for number in range(count):
        text = " ".join(random.choice(words, 18))
        texts.append(f"{text} {names[number % 10]}" if number % 50 == 0 else text)
    matcher = NameMatcher([_named(name) for name in names])
    sieve = Sieve(matcher)
    began = time.perf_counter()
    told = [skeleton([text]) for text in texts]
    reading = time.perf_counter() - began
    began = time.perf_counter()
    passed = {number for number, one in enumerate(told) if sieve.passes(one)}
    sieving = time.perf_counter() - began
    began = time.perf_counter()
    references = SubjectSet([])
    found = {
        number for number, text in enumerate(texts)
        if check_names(Sight(texts=(text,)), references, matcher).findings
    }  # fmt: skip
    checking = time.perf_counter() - began
    told_rows = {"prompts": count, "names": len(names)}
    return [
        once("names: skeletons made", count / reading, "prompts/s", told_rows),
        once("names: asked of skeletons", count / sieving, "prompts/s", told_rows),
        once("names: the check alone", count / checking, "prompts/s", told_rows),
        rate("names: recall of the sieve", len(found & passed), len(found), told_rows),
        rate("names: prompts that pass", len(passed), count, told_rows),
    ]


def _named(name: str) -> NameRow:
    return NameRow(subject=name, text=name, tier="block", context=(), kind="official", language="")


def _kinds(folder: Path, rounds: int) -> list[Row]:
    """Every kind of wish against releases that were published before it."""
    targets = rounds * len(world.KINDS)
    with opened(folder, list(world.CALIBRATIONS.values())) as home:
        engine, signer = home.app.engine, home.app.signer
        ids = world.prepare(engine, targets, clock(), signer)
        made: dict[str, int] = {}
        others = set()
        began = time.perf_counter()
        for target in range(targets):
            seen = world.sight(target, np.random.default_rng(target))
            released = home.publish(seen, account=world.account(target), key=ids.keys.get(target, ""))
            made[released.id] = target
            harmless = world.sight(world.HARMLESS, np.random.default_rng(target))
            others.add(home.publish(harmless).id)
        say(f"{2 * targets} releases in {time.perf_counter() - began:.0f} s")
        home.app.retroscan()
        for target in range(targets):
            world.opt_out(engine, target, ids, clock(), signer)
        began = time.perf_counter()
        report = home.app.retroscan()
        seconds = time.perf_counter() - began
        found = Counter(world.kind_of(made[one.release]) for one in report.recalled if one.release in made)
        wrong = sum(one.release in others for one in report.recalled)
        rates = [(kind, *_looking(home, kind, targets)) for kind in ("name", "pictures", "face")]
    told = {"releases": 2 * targets, "wishes": targets}
    return [
        *(
            rate("retro-scan: recall by kind", found[kind], rounds, told | {"kind": kind})
            for kind in world.KINDS
        ),
        rate("retro-scan: harmless releases found", wrong, targets, told),
        once("retro-scan: real releases, one scan of many wishes", seconds, "s", told),
        *(
            once(
                "retro-scan: releases looked through for one wish that finds nothing",
                count / taken,
                "releases/s",
                {"releases": count, "kind": kind},
            )
            for kind, count, taken in rates
        ),
    ]


def _looking(home: PastHome, kind: str, targets: int) -> tuple[int, float]:
    """Releases, and seconds to look through them for one more wish of a kind, without codes."""
    target = targets + world.KINDS.index(kind)
    ids = world.Ids(subjects={}, licences={}, keys={})
    world.opt_out(home.app.engine, target, ids, clock(), home.app.signer)
    began = time.perf_counter()
    report = home.app.retroscan()
    return report.compared, time.perf_counter() - began


def main() -> None:
    """Run alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--vectors", type=int, default=0, help="stored vectors of frames")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        rows = measure(Path(folder), quick=chosen.quick, vectors=chosen.vectors)
    common.present("registry retro-scan", rows, common.commit(), as_json=chosen.json)


if __name__ == "__main__":
    main()
