"""How soon an opt-out counts in another process, which follows the registry with `View.current()`.

One process registers a name, a picture, a face or a description. The moment it has the receipt, it asks the
other one about a clip of that target, which compares it with the view as the gate does. Every such question
begins after the acknowledgement, so each one that is let through is a miss. Meanwhile a third process asks
without a pause, as a busy gate does: from the acknowledgement to its first refusal is the time until refused.
"""

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import common
from benchmarks.common import Row, rate, say
from benchmarks.tools import fence_load as load
from benchmarks.tools import fence_world as world
from benchmarks.tools.places import databases, named, place
from pipeline import policy as policies
from pipeline.examine import examine
from pipeline.recheck import wishes_of
from pipeline.types import Verdict
from registry.db import open_database
from registry.view import View

KINDS: Final = ("name", "pictures", "face", "portfolio", "description")
ROUNDS: Final = (20, 400)
REGISTERED: Final = (100, 5_000)  # subjects of other owners, in force before
BATCH: Final = 500
GOAL_MS: Final = 1000.0
WAIT_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.2  # between rounds, so that the tail goes on from a quiet state
SPAWN: Final = multiprocessing.get_context("spawn")


def measure(folder: Path, *, quick: bool, database: str | None) -> list[Row]:
    """Times until refused, of both who ask once and who asks all the time."""
    rounds, registered = ROUNDS[0] if quick else ROUNDS[1], REGISTERED[0] if quick else REGISTERED[1]
    with place(folder, database) as where:
        say(f"{named(database)}: {registered} subjects in force, {rounds} opt-outs")
        _fill(where, registered)
        once, always = _measured(where, rounds)
    told: dict[str, Any] = {"database": named(database), "subjects in force": registered}
    passed = sum(not refused for refused, _ in once)
    return [
        rate("asked after the acknowledgement and let through", passed, len(once), told | {"goal": 0}),
        *_quantiles("acknowledged until refused elsewhere", always, told | {"goal": GOAL_MS}),
        *_quantiles("one question after the acknowledgement", [taken for _, taken in once], told),
    ]


def _fill(where: Path | str, subjects: int) -> None:
    """Subjects that nobody asks about; their numbers come after all targets."""
    from registry import optouts

    engine = open_database(where)
    drafts = [world._DRAFTS[KINDS[n % len(KINDS)]](10_000_000 + n) for n in range(subjects)]
    for start in range(0, subjects, BATCH):
        batch = drafts[start : start + BATCH]
        optouts.add_many(engine, batch, now=load.now(), sign_checkpoint=load.SIGNER)
    engine.dispose()


def _measured(where: Path | str, rounds: int) -> tuple[list[tuple[bool, float]], list[float]]:
    """(refused, ms) of each question asked once, and the ms until refused of who asks all the time."""
    here, there = SPAWN.Pipe()
    busy_here, busy_there = SPAWN.Pipe()
    ended = SPAWN.Event()
    children = [
        SPAWN.Process(target=answer, args=(where, there), daemon=True),
        SPAWN.Process(target=keep_asking, args=(where, busy_there, ended), daemon=True),
    ]
    for child in children:
        child.start()
    engine, once, always = open_database(where), list[tuple[bool, float]](), list[float]()
    none = world.Ids(subjects={}, licences={}, keys={})
    for pipe in (here, busy_here):
        assert pipe.recv() == "ready"
    for number in range(rounds):
        target = _target(number)
        busy_here.send(target)
        time.sleep(PAUSE_SECONDS)
        if busy_here.poll(0) and busy_here.recv() is None:
            continue  # its invented name is near one that was opted out before
        world.opt_out(engine, target, none, load.now(), load.SIGNER)
        told = time.monotonic()
        here.send(target)
        refused = here.recv()
        once.append((refused, 1000 * (time.monotonic() - told)))
        if not busy_here.poll(WAIT_SECONDS):
            raise SystemExit(f"not refused within {WAIT_SECONDS:.0f} s: {world.kind_of(target)}")
        always.append(1000 * max(0.0, busy_here.recv() - told))
    ended.set()
    here.send(None)
    for child in children:
        child.join()
    engine.dispose()
    return once, always


def _target(number: int) -> int:
    """The numbers of targets whose opt-out is of one of our kinds."""
    return number // len(KINDS) * len(world.KINDS) + world.KINDS.index(KINDS[number % len(KINDS)])


class _Gate:
    """Judges a clip by the view, as a job does, with vectors in place of models."""

    def __init__(self, where: Path | str) -> None:
        self._view, self._policy = View(open_database(where)), policies.preset(load.POLICY)
        self._chance = np.random.default_rng(1)
        self.refuses(world.HARMLESS)  # what the checks load at first use is there then

    def refuses(self, target: int) -> bool:
        snapshot, at = self._view.current(), load.now()
        reports = examine(
            self._policy.required, world.sight(target, self._chance), snapshot, world.CALIBRATIONS
        )
        found = policies.decide(
            self._policy.only(policies.COMPARED), [r for r in reports if r.check in policies.COMPARED],
            sound=policies.Sound.ACCEPT, has_sound=False, registry_seq=snapshot.seq, now=at,
            wishes=wishes_of(snapshot.subjects, world.account(target), at),
        )  # fmt: skip
        return found.verdict is not Verdict.ALLOW


def answer(where: Path | str, pipe: Any) -> None:
    """Say of each target that comes whether a clip of it is refused."""
    gate = _Gate(where)
    pipe.send("ready")
    while (target := pipe.recv()) is not None:
        pipe.send(gate.refuses(target))


def keep_asking(where: Path | str, pipe: Any, ended: Any) -> None:
    """Ask about a target until it is refused, and say when that was; then about the next."""
    gate = _Gate(where)
    pipe.send("ready")
    while not ended.is_set():
        if not pipe.poll(0.1):
            continue
        target = pipe.recv()
        if gate.refuses(target):
            pipe.send(None)
            continue
        while not gate.refuses(target) and not ended.is_set():
            pass
        pipe.send(time.monotonic())


def _quantiles(metric: str, values: list[float], told: dict[str, Any]) -> list[Row]:
    return [
        Row(
            metric=f"{metric}, p{percent}", value=float(np.percentile(values, percent)), unit="ms",
            n=len(values), interval=(min(values), max(values)), conditions=told,
        )
        for percent in (50, 99)
    ]  # fmt: skip


def main() -> int:
    """Both databases; 1 when a question was let through or the goal was missed."""
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--database", help="URL of a PostgreSQL database; one is started here otherwise")
    asked = parser.parse_args()
    at_commit, found = common.commit(), common.machine()
    with databases(asked.database, server=True) as places, tempfile.TemporaryDirectory() as folder:
        for database in places:
            found += measure(Path(folder) / named(database), quick=asked.quick, database=database)
    common.present("registry_latency", found, at_commit, as_json=asked.json)
    goals = [(row.value, row.conditions["goal"]) for row in found if "goal" in row.conditions]
    return int(any(value > float(str(goal)) for value, goal in goals))


if __name__ == "__main__":
    raise SystemExit(main())
