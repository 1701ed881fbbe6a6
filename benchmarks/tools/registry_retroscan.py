"""How long does a new opt-out take to look back, and does it find everything?

1. A home of releases with twelve vectors of frames each, up to a million (`benchmarks.tools.past_bulk`), in
   clusters as frames of clips are: a subject with twenty pictures, and one with a name, are registered, and
   the seconds are those of the product's scan, from the call until the last match is written. The pictures
   are near the frames of some releases, at cosines spread around the threshold; brute force over the same
   vectors says what there is to find. Faces are not in these releases: they have no codes.
2. Stored prompts: how many a second the sieve of names asks.
3. Real releases, published through the fence and scanned by the product: of each kind of wish, how many of
   those that it concerns are found, and how many of the others are not.

``python -m benchmarks.tools.registry_retroscan [--quick] [--vectors N] [--json]``
"""

import argparse
import hashlib
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import select

from benchmarks import common
from benchmarks.common import Row, once, rate, say
from benchmarks.tools import fence_world as world
from benchmarks.tools.past_bulk import DIMENSION, EACH, THREADS, Bulk, write
from benchmarks.tools.past_bulk import name as bulk_name
from benchmarks.tools.past_home import PastHome, opened
from benchmarks.tools.shipped_space import embedded_space
from classifiers import thresholds
from classifiers.base import Kind, Seen, Sight, Vectors
from classifiers.bounds import Bound, bounds_of
from classifiers.matcher import NameMatcher
from classifiers.names import check_names
from classifiers.sieve import Sieve, skeleton
from classifiers.similarity import check_frames
from classifiers.thresholds import Calibration
from pipeline.clock import clock
from pipeline.home import Home
from pipeline.retroscan import ScanReport
from registry import optouts, scans
from registry.db import read
from registry.subject_types import (
    NameDraft,
    NameRow,
    OptOutDraft,
    ReferenceDraft,
    SubjectRecord,
    VectorDraft,
    VectorRow,
)
from registry.subjectset import SubjectSet
from registry.tables import subject

SPACE: Final = embedded_space()
REFERENCES: Final = 20
VECTORS: Final = 12_000_000
QUICK_VECTORS: Final = 100_000
PLANTED: Final = 1000  # releases with a frame near one of the subject's pictures
NAME: Final = "Vexmoor Quandle"
GOAL_SECONDS: Final = 10.0
GOAL_RECALL: Final = 0.999
PROMPTS: Final = 20_000
ROUNDS: Final = 30  # targets of each kind


def measure(folder: Path, *, quick: bool, database: str | None = None, vectors: int = 0) -> list[Row]:
    """All rows; `database` is not used: what is measured in one is the same home on SQLite."""
    del database
    count = vectors or (QUICK_VECTORS if quick else VECTORS)
    rows = _vectors(folder / "vectors", count // EACH * EACH)
    rows += _prompts(PROMPTS // 10 if quick else PROMPTS)
    return rows + _kinds(folder / "home", 4 if quick else ROUNDS)


def _vectors(folder: Path, count: int) -> list[Row]:
    """A home of many releases; a subject with twenty pictures looks back, then one with a name."""
    calibration = thresholds.load(SPACE)
    [bound] = [one for one in bounds_of(calibration) if one.seen is Kind.FRAME]
    pictures, strangers = _pictures(1), _pictures(9)
    releases = count // EACH
    random = np.random.default_rng(4)
    named = random.choice(releases, min(PLANTED, releases // 20), replace=False) + 1
    bulk = Bulk(
        releases=releases, space=SPACE, pictures=pictures, planted=min(PLANTED, releases // 20),
        named={int(one): f"a boat and {NAME} in the fog" for one in named}, bound=bound,
        calibration=calibration,
    )  # fmt: skip
    with opened(folder, [calibration]):
        pass
    began = time.perf_counter()
    write(Home(folder).database, bulk)
    say(f"{releases} releases written in {time.perf_counter() - began:.0f} s")
    with opened(folder, [calibration]) as home:
        making, first = _timed(home, "stranger", strangers)
        say(f"codes made, first scan: {making:.1f} s")
        seconds, report = _timed(home, "subject", pictures)
        out = {one: home.state(bulk_name(one)) == "withdrawn" for one in bulk.exact}
        by_name, naming = _timed(home, NAME, pictures[:0])
        truth = _truth(bulk, _record(bound, calibration, pictures))
        with read(home.app.engine) as conn:
            found = scans.counts(conn, _subject_id(home, "subject")).matched
            by_names = scans.counts(conn, _subject_id(home, NAME)).matched
        names_truth = {one for one in bulk.named if not out.get(one, False)}
        codes = sum(path.stat().st_size for path in home.home.past.iterdir())
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    told = {
        "vectors": count, "dimension": DIMENSION, "releases": releases, "references": REFERENCES,
        "threads": THREADS, "goal seconds": GOAL_SECONDS, "goal recall": GOAL_RECALL,
    }  # fmt: skip
    hit = {one for one, gone in out.items() if gone}
    return [
        once("retro-scan: first scan, in which the codes are made", making, "s", told),
        once("retro-scan: codes", codes / count, "bytes/vector", told),
        once("retro-scan: the home on disk", disk / 1e9, "GB", told),
        once("retro-scan: 20 pictures, from the call to the last match", seconds, "s", told),
        once("retro-scan: 20 pictures, matches", found, "releases", told),
        rate("retro-scan: 20 pictures, recall against brute force", len(truth & hit), len(truth), told),
        once("retro-scan: 20 pictures, found but not by brute force", found - len(truth & hit), "releases",
             told),
        once("retro-scan: a name, from the call to the last match", by_name, "s", told),
        rate("retro-scan: a name, recall", by_names, len(names_truth), told),
        once("retro-scan: releases looked at", first.compared, "releases", told),
        once("retro-scan: releases looked at again by picture and name", report.compared + naming.compared,
             "releases", told),
        *_goals(count, seconds, len(truth & hit) / len(truth), told),
    ]  # fmt: skip


def _timed(home: PastHome, called: str, pictures: Vectors) -> tuple[float, ScanReport]:
    """Register a subject with pictures, or else with its name, and look back."""
    optouts.add(home.app.engine, _draft(called, pictures), now=clock(), sign_checkpoint=home.app.signer)
    began = time.perf_counter()
    report = home.app.retroscan()
    return time.perf_counter() - began, report


def _draft(called: str, pictures: Vectors) -> OptOutDraft:
    if not len(pictures):
        return OptOutDraft(kind="character", name=called, owner="O", names=(NameDraft(text=called),))
    digests = [hashlib.sha256(one.tobytes()).hexdigest() for one in pictures]
    return OptOutDraft(
        kind="character", name=called, owner="O",
        references=tuple(ReferenceDraft(sha256=one, polarity=1, width=64, height=64) for one in digests),
        vectors=tuple(
            VectorDraft(reference=digest, space=SPACE, kind="picture", polarity=1,
                        vector=one.astype("<f2").tobytes(), dimension=DIMENSION)
            for digest, one in zip(digests, pictures, strict=True)
        ),
    )  # fmt: skip


def _subject_id(home: PastHome, called: str) -> str:
    with read(home.app.engine) as conn:
        return str(conn.execute(select(subject.c.id).where(subject.c.name == called)).scalar_one())


def _truth(bulk: Bulk, record: SubjectRecord) -> set[int]:
    """What the check finds among all releases: among those that reach the bound, since no other can be."""
    references, found = SubjectSet([record]), set()
    times = tuple(float(place) for place in range(EACH))
    for number, frames in bulk.exact.items():
        sight = Sight(seen=(Seen(kind=Kind.FRAME, space=SPACE, vectors=frames, times=times),))
        if check_frames(sight, references, {SPACE: bulk.calibration}).findings:
            found.add(number)
    return found


def _goals(count: int, seconds: float, recall: float, told: dict[str, Any]) -> list[Row]:
    if count < VECTORS:
        return []
    met = seconds <= GOAL_SECONDS and recall >= GOAL_RECALL
    return [once("retro-scan: goal met", float(met), "yes (1) or no (0)", told)]


def _pictures(seed: int) -> Vectors:
    """Twenty pictures that are alike."""
    random = np.random.default_rng(seed)
    drawn = random.standard_normal(DIMENSION) + 0.6 * random.standard_normal((REFERENCES, DIMENSION))
    units = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(units.astype("<f2"), np.float32)


def _record(bound: Bound, calibration: Calibration, pictures: Vectors) -> SubjectRecord:
    rows = tuple(
        VectorRow(
            subject="s", reference=f"{n}", space=calibration.space, kind=str(bound.registered), polarity=1,
            vector=vector.astype("<f2").tobytes(), dimension=DIMENSION,
        )
        for n, vector in enumerate(pictures)
    )  # fmt: skip
    return SubjectRecord(
        id="s", kind="character", name="S", owner="O", party="p", mode="block", description="",
        attributes=(), exclusions=(), names=(), vectors=rows, rules=(), state="active", seq=1,
    )  # fmt: skip


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
