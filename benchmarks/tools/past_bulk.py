"""A home with very many releases, written as rows in bulk: a million in minutes.

Everything that a scan reads is as publishing would have left it: releases with their jobs, decisions and
facts, entries of the log with their hashes, prompts with their readings, vectors of frames and prompts. What
was never there are clips. The database's triggers are put aside while the rows are written, since each of
them asks something for every row.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.base import Vectors
from classifiers.bounds import Bound, reached
from classifiers.sieve import skeleton
from classifiers.thresholds import Calibration
from classifiers.words import SPACE
from pipeline import policy as policies
from registry import log
from registry.canonical import Json, stored
from registry.merkle import leaf_hash, new_nodes
from registry.vectors import unpacked

EACH: Final = 12  # frames of a release
DIMENSION: Final = 256  # of the CLIP that ships
CLUSTERS: Final = 4000
CHUNK: Final = 1 << 15  # releases made together
PROMPTS: Final = 2000  # different ones
POLICY: Final = "opt-out"
AT: Final = "2026-01-31T12:00:00Z"
WORDS: Final = (
    "an", "old", "harbour", "with", "boats", "gulls", "and", "a", "fisherman", "in", "fog", "slow", "camera",
    "film", "grain", "night", "city", "rain", "neon", "dog", "runs", "golden",
)  # fmt: skip
THREADS: Final = 2


@dataclass(slots=True, kw_only=True)
class Bulk:
    """What is written: so many releases, some of them (``planted``) with a frame near one of ``pictures``.

    ``named``: releases whose prompt is this text; ``exact``: those of which a frame reaches ``bound``, by
    brute force, once it is written.
    """

    releases: int
    space: str
    pictures: Vectors
    planted: int
    named: dict[int, str]
    bound: Bound
    calibration: Calibration
    exact: dict[int, Vectors] = field(default_factory=dict)


def name(number: int) -> str:
    """The id of a release, in the order of their numbers, which begin with one."""
    return f"{number:08x}-0000-7000-8000-{number:012x}"


def write(file: Path, bulk: Bulk) -> None:
    """Write the rows into a registry that nobody has open and in which no entry of the log is yet."""
    with closing(sqlite3.connect(file, isolation_level=None)) as base:
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "foreign_keys = OFF",
            "cache_size = -500000",
        ):
            base.execute(f"PRAGMA {pragma}")
        found = base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for trigger, _ in found:
            base.execute(f"DROP TRIGGER {trigger}")
        writer = _Writer(base, bulk)
        chunks = range(1, bulk.releases + 1, CHUNK)
        with ThreadPoolExecutor(THREADS) as pool:
            waiting = [pool.submit(_frames, bulk, first) for first in chunks[:THREADS]]
            for place, first in enumerate(chunks):
                frames, exact = waiting.pop(0).result()
                if place + THREADS < len(chunks):
                    waiting.append(pool.submit(_frames, bulk, chunks[place + THREADS]))
                bulk.exact |= exact
                writer.add(first, frames)
        for _, sql in found:
            base.execute(sql)
        base.execute("PRAGMA journal_mode = WAL")


def _frames(bulk: Bulk, first: int) -> tuple[Any, dict[int, Vectors]]:
    """The packed frames of a chunk, in clusters as frames of one clip are, and those that reach the bound."""
    count = min(CHUNK, bulk.releases + 1 - first)
    random = np.random.default_rng(1000 + first)
    centres = np.random.default_rng(2).standard_normal((CLUSTERS, DIMENSION)).astype(np.float32)
    plain = np.repeat(centres[random.integers(0, CLUSTERS, count)], EACH, axis=0)
    plain += random.standard_normal(plain.shape, np.float32)
    chosen = np.random.default_rng(3).choice(bulk.releases, bulk.planted, replace=False) + 1
    here = chosen[(chosen >= first) & (chosen < first + count)] - first
    # From far below the threshold to the picture itself.
    spread = random.uniform(0.0, 1.1, len(here)).astype(np.float32)[:, None] / np.sqrt(DIMENSION)
    near = bulk.pictures[random.integers(0, len(bulk.pictures), len(here))]
    plain[here * EACH + 3] = 20 * (near + spread * random.standard_normal(near.shape, np.float32))
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    packed = plain.astype("<f2").reshape(count, EACH * DIMENSION)
    exact: dict[int, Vectors] = {}
    for part in range(0, count, 4096):
        groups = unpacked(packed[part : part + 4096].tobytes(), DIMENSION).reshape(-1, EACH, DIMENSION)
        hits = reached(bulk.bound, list(groups), bulk.pictures, bulk.calibration)
        exact |= {first + part + place: groups[place].copy() for place, rows in enumerate(hits) if rows}
    return packed, exact


class _Writer:
    def __init__(self, base: sqlite3.Connection, bulk: Bulk) -> None:
        self._base, self._bulk = base, bulk
        self._nodes: dict[tuple[int, int], bytes] = {}
        drawn = np.random.default_rng(5)
        texts = [" ".join(drawn.choice(WORDS, 18)) for _ in range(min(PROMPTS, bulk.releases))]
        self._prompts = [(text, skeleton([text])) for text in texts]
        self._asked = drawn.standard_normal((len(texts), DIMENSION))
        self._asked /= np.linalg.norm(self._asked, axis=1, keepdims=True)

    def add(self, first: int, frames: Any) -> None:
        """Write a chunk of releases."""
        numbers = range(first, first + len(frames))
        self._base.execute("BEGIN")
        self._many("job", ([name(n), "create/1", f"made {n}", "{}", AT, "released", "{}", AT, None, "", 0]
                           for n in numbers))  # fmt: skip
        version = policies.PRESETS[POLICY].version
        self._many("decision", ([f"{n:064x}", name(n), "allow", POLICY, version, "{}", "[]", 0, AT, None]
                                for n in numbers))  # fmt: skip
        self._log(numbers)
        self._many("release_look", self._looks(numbers))
        self._many("release", self._releases(numbers))
        self._many("release_sight", self._sights(numbers, frames))
        self._base.execute("COMMIT")

    def _many(self, table: str, rows: Iterator[list[Any]] | Any) -> None:
        columns = [row[1] for row in self._base.execute(f"PRAGMA table_info({table})")]
        told = f"({', '.join(COLUMNS[table])}) VALUES ({', '.join('?' * len(COLUMNS[table]))})"
        if not {*COLUMNS[table]} <= {*columns}:
            raise RuntimeError(f"the table {table} is another by now")
        self._base.executemany(f"INSERT INTO {table} {told}", rows)

    def _log(self, numbers: range) -> None:
        entries, nodes = [], []
        for n in numbers:
            public: Json = {"v": 2, "release": name(n), "urn": f"urn:c2pa:{n:032x}"}
            entry = log._entry(n, "release", public, None, AT)
            leaf = leaf_hash(entry)
            self._nodes[0, n - 1] = leaf
            entries.append([n, "release", AT, entry.decode(), None, leaf])
            for level, index, value in new_nodes(n - 1, leaf, lambda *at: self._nodes[at]):
                self._nodes[level, index] = value
                nodes.append([level, index, value])
                for below in (2 * index, 2 * index + 1):
                    self._nodes.pop((level - 1, below), None)
        self._many("log_entry", entries)
        self._many("log_node", nodes)

    def _prompt(self, number: int) -> tuple[str, dict[str, str]]:
        own = self._bulk.named.get(number)
        return (own, skeleton([own])) if own else self._prompts[number % len(self._prompts)]

    def _looks(self, numbers: range) -> Iterator[list[Any]]:
        for n in numbers:
            told = self._prompt(n)[1]
            yield [name(n), POLICY, 1, "", told["v"], told["letters"], told["runs"]]

    def _releases(self, numbers: range) -> Iterator[list[Any]]:
        for n in numbers:
            facts: Json = {"prompt": self._prompt(n)[0], "history": [], "account": "account", "key": "",
                     "policy": POLICY, "job": name(n), "use": {}, "rulings": []}  # fmt: skip
            payload, digest = f"{n:016x}", f"{n:064x}"
            yield [
                name(n), name(n), payload, payload, -12.5, 3, f"urn:c2pa:{n:032x}", digest, digest,
                hashlib.sha256(b"signer").hexdigest(), AT, "intact", bytes(64), digest, "allow", 0, 0, n, AT,
                stored(facts), "released", n,
            ]  # fmt: skip

    def _sights(self, numbers: range, frames: Any) -> Iterator[list[Any]]:
        times = np.arange(EACH, dtype="<f4").tobytes()
        asked = self._asked.astype("<f2")
        for n, packed in zip(numbers, frames, strict=True):
            prompt = asked[n % len(asked)].tobytes()
            yield [name(n), 0, "prompt", self._bulk.space, DIMENSION, 1, prompt, b"", b"", 0]
            yield [name(n), 1, "frame", self._bulk.space, DIMENSION, EACH, packed.tobytes(), times, b"", 0]
            yield [name(n), 2, "words", SPACE, 1, 0, b"", b"", b"", 0]


COLUMNS: Final = {
    "job": ("id", "kind", "key", "inputs", "created_at", "state", "result", "finished_at", "owner",
            "last_step", "deaths"),
    "decision": ("id", "job_id", "verdict", "policy", "policy_version", "checks", "reasons", "registry_seq",
                 "decided_at", "log_seq"),
    "log_entry": ("seq", "kind", "at", "entry", "commitment", "leaf_hash"),
    "log_node": ("level", "idx", "hash"),
    "release_look": ("release_id", "policy", "asked", "api_key", "version", "letters", "runs"),
    "release": ("id", "job_id", "payload", "detected_payload", "mark_log10_chance", "visible_variant", "urn",
                "file_sha256", "manifest_sha256", "signer_sha256", "timestamped_at", "reread_verdict",
                "fingerprint", "decision_id", "decision_verdict", "checked_seq", "registry_seq", "log_seq",
                "published_at", "facts", "state", "state_seq"),
    "release_sight": ("release_id", "number", "kind", "space", "dimension", "count", "vectors", "times",
                      "boxes", "sealed"),
}  # fmt: skip
