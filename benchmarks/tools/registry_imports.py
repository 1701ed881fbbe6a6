"""A whole association imported by the real command, which is killed twice on the way.

The catalogue is invented: members with works, subjects with names in ten scripts, and pictures. What models
would see of the pictures is brought along (`--vectors`), so that the seconds are those of everything else:
reading, judging names, comparing, writing, proving. After each kill the same command runs again; at the end
every line must be there exactly once, and the log must be whole.
"""

import argparse
import base64
import csv
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import func, select

from benchmarks.common import ROOT, Row, once, present, say
from benchmarks.tools.places import place
from benchmarks.tools.shipped_space import embedded_space
from classifiers.ambiguity import tier_of
from classifiers.base import NameTier
from registry import log
from registry.db import open_database, read
from registry.errors import RegistryError
from registry.tables import embedding, log_entry, name, party, reference, subject
from registry.tables_imports import import_line, import_run
from registry.tables_parties import work

SUITE: Final = "registry_imports"
GOAL_SECONDS: Final = 60.0
KILLS: Final = 2
SPACE: Final = embedded_space()  # of the CLIP that ships: vectors of others are refused
DIMENSION: Final = 256  # of the embedded model, whose space the vectors are said to be of
SEED: Final = 20261128
LANGUAGES: Final = {
    "en": "bcdfgklmnprstvz aeiou", "ru": "бвгдзклмнпрст аеиоу", "el": "βγδζκλμνπρστ αειου",
    "ar": "بتثجحدذرزسشطفقكلمن اوي", "he": "בגדזחטכלמנספצקרשת אוי", "hi": "कखगघचछजटडतदनपबमरलव ािीुे",
    "zh": "赞卓瓦洛尼克塔波萨多维尔 林杰米亚", "ko": "잔조바로니키타포사도비르 림제미아",
    "ja": "ザゾワロニキタポサドビル リジェミア", "th": "กขคงจชซดตถนบปพมยรลวส ะาเโไ",
}  # fmt: skip
"""First and other letters of invented names, by language; ten scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is imported."""

    members: int
    works: int
    subjects: int
    names: int
    pictures: int


FULL: Final = Size(members=36, works=1_000, subjects=2_000, names=10_000, pictures=20_000)
QUICK: Final = Size(members=6, works=100, subjects=500, names=2_500, pictures=2_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The files of a catalogue."""

    file: Path
    pictures: Path
    vectors: Path


def make(folder: Path, size: Size, seed: int = SEED) -> Made:
    """Write a catalogue of this size, its pictures and their vectors."""
    chance = random.Random(seed)
    made = Made(
        file=folder / "catalogue.csv", pictures=folder / "pictures.zip", vectors=folder / "vectors.ndjson"
    )
    _write_table(made.file, size, chance)
    shades = np.random.default_rng(seed)
    with zipfile.ZipFile(made.pictures, "w") as packed, made.vectors.open("w") as vectors:
        for number in range(size.pictures):
            data = shades.bytes(1024)  # nothing looks at it: its vector is known
            packed.writestr(f"pictures/{number:05}.png", data)
            vectors.write(json.dumps(_seen(data, shades)) + "\n")
    return made


def _seen(data: bytes, shades: np.random.Generator) -> dict[str, Any]:
    vector = shades.standard_normal(DIMENSION)
    stored = (vector / np.linalg.norm(vector)).astype("<f2").tobytes()
    return {
        "sha256": hashlib.sha256(data).hexdigest(), "width": 640, "height": 480, "space": SPACE,
        "kind": "picture", "vectors": [base64.b64encode(stored).decode()],
    }  # fmt: skip


def _write_table(path: Path, size: Size, chance: random.Random) -> None:
    """Subjects over works over members, names and pictures over subjects, as evenly as it goes."""
    languages = [language for language in LANGUAGES if language != "en"]
    each, used, number = size.pictures // size.subjects, set[str](), 0
    names = size.names // size.subjects - 1
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["member", "work", "name", "references", *(f"name:{one}" for one in languages)])
        for subject_number in range(size.subjects):
            work_number = subject_number % size.works
            more = {
                languages[(subject_number + place) % len(languages)]: _name(
                    languages[(subject_number + place) % len(languages)], chance, used
                )
                for place in range(names)
            }
            shown = [f"pictures/{number + place:05}.png" for place in range(each)]
            number += each
            table.writerow([
                f"Member {work_number % size.members} Pictures", f"Work {work_number}",
                _name("en", chance, used), "|".join(shown), *(more.get(one, "") for one in languages),
            ])  # fmt: skip


def _name(language: str, chance: random.Random, used: set[str]) -> str:
    """An invented name that is no word, and nobody else's here."""
    first, other = LANGUAGES[language].split()
    while True:
        letters = [chance.choice(first) + chance.choice(other) for _ in range(4)]
        made = "".join(letters).capitalize()
        if made not in used and tier_of(made, language) is NameTier.BLOCK:
            used.add(made)
            return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """``seconds``: of all runs together, ``processor_seconds`` without waiting for the machine;
    ``longest_write_ms``: of the last one's chunks.
    """

    seconds: float
    processor_seconds: float
    kills: int
    longest_write_ms: float
    run_id: str


def run_killed(made: Made, home: Path, chance: random.Random, database: str | None) -> Ran:
    """Run the command, kill it twice while it writes, and run it to its end."""
    spent, kills, before = 0.0, 0, _processor()
    marks = sorted(chance.sample(range(1, 75), KILLS))
    command = [
        sys.executable, "-m", "pipeline.cli.main", "import", "run", str(made.file), "--pictures",
        str(made.pictures), "--vectors", str(made.vectors), "--home", str(home), "--json",
    ]  # fmt: skip
    environment = _environment(database)
    while True:
        begun = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if kills < KILLS and _kill_at(child, home, database, marks[kills]):
            kills += 1
        out, err = child.communicate()
        spent += time.perf_counter() - begun
        if child.returncode == 0:
            told = json.loads(out)
            return Ran(
                seconds=spent, processor_seconds=_processor() - before, kills=kills,
                longest_write_ms=told["longest_write_ms"], run_id=told["id"],
            )  # fmt: skip
        if child.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the import failed with {child.returncode}: {err}")


def _processor() -> float:
    """Seconds of processor that children took which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _kill_at(child: "subprocess.Popen[str]", home: Path, database: str | None, percent: int) -> bool:
    """Kill the import when this much of it is done; False if it ends before."""
    while child.poll() is None and _percent(home, database) < percent:
        time.sleep(0.02)
    if child.poll() is not None:
        return False
    child.kill()
    return True


def _percent(home: Path, database: str | None) -> float:
    """How much of the import is done; nothing before the database is there."""
    if database is None and not (home / "registry.db").exists():
        return 0.0
    columns = (import_run.c.lines, import_run.c.made)
    try:
        engine = _engine(home, database)
        with read(engine) as conn:
            row = conn.execute(select(*columns).where(import_run.c.state == "running")).first()
    except RegistryError:  # it is being made
        return 0.0
    engine.dispose()
    return 0.0 if row is None else 100.0 * row.made / row.lines


def _engine(home: Path, database: str | None) -> Any:
    place: Any = home / "registry.db" if database is None else database
    return open_database(place)


def _environment(database: str | None) -> dict[str, str]:
    told = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    return os.environ | told | ({} if database is None else {"COUNTERMARK_DATABASE_URL": database})


def check(home: Path, size: Size, ran: Ran, database: str | None) -> dict[str, int]:
    """How much is there; raises RuntimeError unless it is everything, once."""
    engine = _engine(home, database)
    with read(engine) as conn:
        log.audit(conn)
        counted = {
            "members": conn.scalar(select(func.count()).select_from(party)),
            "works": conn.scalar(select(func.count()).select_from(work)),
            "subjects": conn.scalar(select(func.count()).select_from(subject)),
            "names": conn.scalar(select(func.count()).select_from(name)),
            "references": conn.scalar(select(func.count()).select_from(reference)),
            "vectors": conn.scalar(select(func.count()).select_from(embedding)),
        }
        lines = conn.execute(select(import_line.c.line, import_line.c.outcome, import_line.c.run_id)).all()
        entries = Counter(conn.execute(select(log_entry.c.kind)).scalars())
    engine.dispose()
    wanted = {
        "members": size.members, "works": size.works, "subjects": size.subjects, "names": size.names,
        "references": size.pictures, "vectors": size.pictures,
    }  # fmt: skip
    once_each = {line.line for line in lines} == set(range(2, size.subjects + 2))
    if counted != wanted or not once_each or {line.outcome for line in lines} != {"new"}:
        raise RuntimeError(f"after the kills there is {counted}, not {wanted}")
    if {line.run_id for line in lines} != {ran.run_id} or entries["opt-out"] != size.subjects:
        raise RuntimeError("a line was done twice")
    return {key: int(value or 0) for key, value in counted.items()}


def timed(home: Path, database: str | None, *arguments: str) -> tuple[float, str]:
    """Seconds and answer of another command."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", *arguments, "--home", str(home)], cwd=ROOT,
        env=_environment(database), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return time.perf_counter() - begun, done.stdout


def measure(folder: Path, *, quick: bool, database: str | None) -> list[Row]:
    """Make a catalogue, import it with two kills, check it, and time the whole."""
    if database is None:
        return _measured(folder, quick=quick, database=None)
    with place(folder, database) as where:
        return _measured(folder, quick=quick, database=str(where))


def _measured(folder: Path, *, quick: bool, database: str | None) -> list[Row]:
    size = QUICK if quick else FULL
    say(f"imports: a catalogue of {size.names:,} names and {size.pictures:,} pictures")
    made, home, chance = make(folder, size), folder / "home", random.Random(SEED)
    ran = run_killed(made, home, chance, database)
    counted = check(home, size, ran, database)
    say(f"imports: {ran.seconds:.1f} s with {ran.kills} kills")
    shown, receipts = timed(home, database, "import", "show", ran.run_id, "--receipts")
    again, told = timed(
        home, database, "import", "run", str(made.file), "--pictures", str(made.pictures), "--vectors",
        str(made.vectors), "--dry-run", "--json",
    )  # fmt: skip
    if json.loads(told)["counts"]["unchanged"] != size.subjects or receipts.count("\n") != size.subjects:
        raise RuntimeError("the same catalogue again is not unchanged, or a receipt is missing")
    conditions: dict[str, Any] = counted | {
        "kills": ran.kills, "scripts": len(LANGUAGES), "goal_seconds": GOAL_SECONDS,
        "database": "postgresql" if database else "sqlite",
    }  # fmt: skip
    return [
        once("import, all runs together", ran.seconds, "s", conditions),
        once("import, processor time", ran.processor_seconds, "s", conditions),
        once("import within its goal", float(ran.seconds <= GOAL_SECONDS), "yes or no", conditions),
        once("import, longest wait for others", ran.longest_write_ms, "ms", conditions),
        once("receipts of all lines", shown, "s", {"lines": size.subjects}),
        once("dry run of the same again", again, "s", {"lines": size.subjects}),
    ]


def main() -> None:
    """Run alone: prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of a minute")
    parser.add_argument("--database", help="URL of an empty PostgreSQL database; default: SQLite")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), quick=options.quick, database=options.database)
    present(SUITE, rows, "unknown", as_json=options.json)


if __name__ == "__main__":
    main()
