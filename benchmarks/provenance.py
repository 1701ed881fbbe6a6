"""What a released clip says after it was tampered with: a table that anybody can rerun.

Three clips are released into a home of the benchmark's own: one that was created, one that was guarded, and
one that was guarded and bears a stranger's credential as its parent. Each row of `trials.tampering` is done
to each of them, at random places where it has many. Of every file c2pa's bare state, our reading and the
opinion of `encypher-c2pa`, an independent validator, are asked; of some the verdict of `verify` with keys,
registry and hidden mark. Exit code 1 when a cell is not as expected, or validators differ without a reason
that the row gives. Rows that a clip has no place for are listed (`ABSENT`); any other has to be tried.
"""

import sys
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from benchmarks import common
from benchmarks.common import Row, once, rate, say
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.trials import tampering
from benchmarks.trials.stuffing import STUFFED
from benchmarks.trials.tampering import C2PA, ENCYPHER, Subject
from benchmarks.trials.witnesses import Desk, Opinions, opinions
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from pipeline.app import App, open_app
from pipeline.orders import CreateOrder, GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.verify.local import Verifier
from pipeline.verify.opening import open_local

SUITE: Final = "provenance"
SIZE: Final = (480, 272)
RATE: Final = 12
SECONDS: Final = 3
POLICY: Final = "marks-only"
CREATED, GUARDED, PARENT = "created", "guarded", "guarded, stranger's parent"
NO_PARENT: Final = frozenset({
    "bit flipped: parent's manifest", "parent changed", "parent changed, and a stranger's record of it",
})  # fmt: skip
NO_SOURCE_TYPE: Final = frozenset({"XMP source type edited"})  # how it was made is not known
ABSENT: Final = {CREATED: NO_PARENT, GUARDED: NO_PARENT | NO_SOURCE_TYPE, PARENT: NO_SOURCE_TYPE}
"""Rows that a clip has no place for; any other that finds none is an error."""


@dataclass(slots=True)
class Cell:
    """A row done to a clip: what each said, how often; what was not expected, in words."""

    row: tampering.Row
    clip: str
    worth: Counter[str] = field(default_factory=Counter)
    c2pa: Counter[str] = field(default_factory=Counter)
    encypher: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    def heard(self, said: Opinions) -> None:
        """Take in what the three said of one file."""
        self.worth[said.worth] += 1
        self.c2pa[said.c2pa] += 1
        self.encypher[said.encypher] += 1
        if said.worth not in self.row.worth:
            self.unexpected.append(f"our reading is {said.worth}")
        for way, names, reasons in (
            ("stricter than", said.stricter, self.row.stricter), ("laxer than", said.laxer, self.row.laxer),
        ):  # fmt: skip
            for name in names:
                self.differences[f"{way} {name}: {reasons.get(name, 'for no known reason')}"] += 1
                if name not in reasons:
                    self.unexpected.append(f"we are {way} {name}")

    def judged(self, verdict: str) -> None:
        """Take in a whole verification's verdict."""
        self.verdicts[verdict] += 1
        if verdict not in self.row.verdicts:
            self.unexpected.append(f"the verdict is {verdict}")


def main() -> int:
    """The command; 1 for a cell that is not as expected."""
    asked = _asked()
    at_commit, measured = common.commit(), common.machine()
    with tempfile.TemporaryDirectory(prefix="countermark-provenance-") as name:
        folder = Path(name)
        stranger = Desk(folder / "stranger")
        clips = _released(folder, stranger)
        with open_local(load(folder / "home")) as verifier:
            cells = [cell for clip in clips for cell in _cells(clip, clips, stranger, verifier, asked)]
    if not asked.json:
        _show(cells)
    summary = [*_summary(cells)]
    rows = [*measured, *map(_told, cells), *summary, *common.machine()]
    common.present(SUITE, rows if asked.json else summary, at_commit, as_json=asked.json)
    wrong = [f"{cell.row.name} ({cell.clip}): {what}" for cell in cells for what in cell.unexpected]
    print("\n".join(f"UNEXPECTED {what}" for what in wrong), file=sys.stderr)
    return int(bool(wrong))


def _asked() -> Namespace:
    parser = common.options(__doc__, clips=False)
    parser.add_argument("--flips", type=common.whole(1), default=20, help="places of a row that has many")
    parser.add_argument("--verdicts", type=common.whole(0), default=1, help="of these with a whole verdict")
    parser.add_argument("--seed", type=common.whole(0), default=1)
    return parser.parse_args()


def _released(folder: Path, stranger: Desk) -> dict[str, bytes]:
    """The three clips, as bytes of their released files."""
    drawn, signed = folder / "drawn.mp4", folder / "signed.mp4"
    _draw(drawn, seed=2)
    with open_app(load(folder / "home")) as app:
        made = {GUARDED: _guard(app, drawn)}
        _draw(drawn, seed=3)
        stranger.sign(drawn, signed)
        made[PARENT] = _guard(app, signed)
        order = CreateOrder(
            prompt="a lake at dusk", policy=POLICY, generator="scene", seconds=SECONDS, seed=4,
            width=SIZE[0], height=SIZE[1],
        )  # fmt: skip
        made[CREATED] = _file(app.create(order, _quiet))
    return made


def _guard(app: App, path: Path) -> bytes:
    return _file(app.guard(GuardOrder(source=path, policy=POLICY, sound=Sound.STRIP), _quiet))


def _file(outcome: Any) -> bytes:
    if outcome.file is None:
        raise SystemExit(f"the clip was not released: {outcome.held}")
    return bytes(outcome.file.read_bytes())


def _quiet(_step: str, _event: str, _value: float) -> None:
    """Nobody watches."""


def _draw(path: Path, *, seed: int) -> None:
    random = np.random.default_rng(seed)
    design, scene = random_design(random), random_scene(random)
    width, height = SIZE
    times = (float(Fraction(index, RATE)) for index in range(SECONDS * RATE))
    pictures = (render_frame(design, scene, width=width, height=height, time=t).picture for t in times)
    write_clip(pictures, path, RATE, 10)


def _cells(
    clip: str, clips: dict[str, bytes], stranger: Desk, verifier: Verifier, asked: Namespace
) -> Iterator[Cell]:
    other = next(content for name, content in clips.items() if name != clip)
    given = tampering.subject(clips[clip], other, stranger.sign, stranger.sign_over)
    for row in (*tampering.ROWS, *STUFFED):
        cell = Cell(row, clip)
        _fill(cell, given, verifier, asked)
        if cell.worth:
            yield cell
    say(f"{clip}: done")


def _fill(cell: Cell, given: Subject, verifier: Verifier, asked: Namespace) -> None:
    random = Random(f"{asked.seed} {cell.row.name} {cell.clip}")
    for number in range(asked.flips if cell.row.places else 1):
        with tempfile.TemporaryDirectory(prefix="countermark-tampered-") as folder:
            try:
                path = cell.row.make(given, random, Path(folder))
            except KeyError as missing:
                if cell.row.name not in ABSENT[cell.clip]:
                    raise SystemExit(
                        f"{cell.row.name} ({cell.clip}): no {missing}; mend it or list it"
                    ) from None
                return
            if cell.row.name in ABSENT[cell.clip]:
                cell.unexpected.append("the clip has a place for it, against the list")
            cell.heard(opinions(path.read_bytes(), verifier.trust))
            if number < (asked.verdicts if cell.row.places else 1):
                cell.judged(str(verifier.verify(path).verdict))


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {count}" for word, count in counts.most_common())


def _told(cell: Cell) -> Row:
    tried = cell.worth.total()
    wrong = min(tried, len(cell.unexpected))
    return rate("as expected", tried - wrong, tried, {
        "row": cell.row.name, "clip": cell.clip, "expected verdict": " or ".join(sorted(cell.row.verdicts)),
        "verdict": _words(cell.verdicts), "our reading": _words(cell.worth), C2PA: _words(cell.c2pa),
        ENCYPHER: _words(cell.encypher), "differences": "; ".join(sorted(cell.differences)),
    })  # fmt: skip


def _summary(cells: Sequence[Cell]) -> Iterator[Row]:
    files = sum(cell.worth.total() for cell in cells)
    yield once("files read by all three", files, "count")
    yield once("files verified wholly", sum(cell.verdicts.total() for cell in cells), "count")
    yield once("unexpected cells", sum(bool(cell.unexpected) for cell in cells), "count")
    for name in (C2PA, ENCYPHER):
        for way in ("stricter than", "laxer than"):
            count = sum(
                n
                for cell in cells
                for text, n in cell.differences.items()
                if text.startswith(f"{way} {name}:")
            )
            yield rate(f"we are {way} {name}", count, files)
    flips = [cell for cell in cells if cell.row.places and "intact" not in cell.row.worth]
    caught = [cell.worth.total() - cell.worth["intact"] for cell in flips]
    yield rate("flipped bits noticed, outside ftyp", sum(caught), sum(cell.worth.total() for cell in flips))


def _show(cells: Sequence[Cell]) -> None:
    for cell in cells:
        print(
            f"{'ok ' if not cell.unexpected else 'BAD'} {cell.row.name} | {cell.clip} | expected"
            f" {' or '.join(sorted(cell.row.verdicts))} | verify {_words(cell.verdicts)} | reading"
            f" {_words(cell.worth)} | c2pa {_words(cell.c2pa)} | encypher {_words(cell.encypher)}"
            + "".join(f" | {text}" for text in sorted(cell.differences))
        )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
