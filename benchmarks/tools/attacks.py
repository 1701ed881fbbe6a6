"""Attacks on the whole chain, from the cases beside this package: `benchmarks.redteam` measures with them."""

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.tools.disguises import EXACT, FURTHER
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import ACTIONS, BACKGROUNDS, STYLES, Scene
from pipeline import policy as policies
from pipeline.app import App, open_app
from pipeline.clock import clock
from pipeline.gate import Gate, Wanted
from pipeline.media.limits import media_limits
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import OptOutOrder
from pipeline.orders import LOCAL_ACCOUNT
from pipeline.pictures.types import PictureFile
from pipeline.policy import Policy
from pipeline.settings import load
from pipeline.texts import Texts

DATA: Final = Path(__file__).parents[1] / "redteam_data"
CASES: Final = DATA / "cases.json"
PARITY: Final = DATA / "parity.json"
DRAWN: Final = "Tarrow Vance"
"""The registered character that is drawn; whose portrait is registered is the person of the cases."""
DESIGN_SEED: Final = 1
SIDE: Final = 256
REGISTERED: Final = 4
"""Pictures that are registered of the drawn character."""
SHOWN: Final = 12
"""Other pictures of a subject that attacks come with."""
PROBES: Final = 50
"""Tries that somebody has who changes a refused prompt until it passes."""
CODES: Final = frozenset({"base64", "hex", "rot13", "reversed", "URL encoding", "HTML entities"})
"""Disguises that nobody reads without undoing them first."""
PROBED: Final = "probing of the filter"

Picture = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack: what is asked, and the pictures that come with it. ``first``: what is known before an
    enhancer wrote or anybody listened.
    """

    family: str
    first: Texts
    whole: Texts
    picture: Picture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The checks that stop an attack: by what is asked, after enhancement and listening, by the material."""

    first: frozenset[str]
    whole: frozenset[str]
    material: frozenset[str] = field(default_factory=frozenset)


def read() -> dict[str, Any]:
    """The cases."""
    told: dict[str, Any] = json.loads(CASES.read_text(encoding="utf-8"))
    return told


def written(cases: dict[str, Any]) -> Iterator[Attack]:
    """The attacks that are words alone."""
    for case in cases["prompts"]:
        first = Texts(history=tuple(case.get("history", ())), prompt=case["text"])
        whole = Texts(
            history=first.history, prompt=first.prompt, enhanced=case.get("enhanced"),
            speech=case.get("speech", ""),
        )  # fmt: skip
        yield Attack(family=case["family"], first=first, whole=whole)


def pictured(cases: dict[str, Any]) -> Iterator[Attack]:
    """The attacks that come with a picture."""
    for number, case in enumerate(cases["pictures"]):
        texts = Texts(prompt=case["text"])
        for shown in _shown(case, number):
            yield Attack(family=case["family"], first=texts, whole=texts, picture=shown)


def _shown(case: dict[str, Any], number: int) -> list[Picture]:
    """One picture with words, or several of the same subject."""
    if "words" in case:
        return [lettered(case["words"], number)]
    if "portrait" in case:
        return [changed(portrait(), seed) for seed in range(SHOWN)]
    return [drawn(REGISTERED + place, sketch="sketch" in case) for place in range(SHOWN)]


def probes(name: str, seed: int) -> Iterator[str]:
    """Prompts with a name under one or two disguises that a person still reads, as somebody who tries would
    send them.
    """
    rng = random.Random(seed)
    known = {**EXACT, **FURTHER}
    kinds: list[Callable[[str, random.Random], str]] = [known[kind] for kind in sorted(known.keys() - CODES)]
    for _ in range(PROBES):
        text = name
        for disguise in rng.sample(kinds, rng.choice((1, 2))):
            text = disguise(text, rng)
        yield f"{text} dances on a pier"


def drawn(number: int, *, sketch: bool = False) -> Picture:
    """The drawn character in another pose and place; as a line drawing for a sketch."""
    style = "line" if sketch and "line" in STYLES else STYLES[number % len(STYLES)]
    scene = Scene(
        action=ACTIONS[number % len(ACTIONS)], background=BACKGROUNDS[number % len(BACKGROUNDS)], style=style,
        size=0.72, seed=100 + number,
    )  # fmt: skip
    design = random_design(np.random.default_rng(DESIGN_SEED))
    return render_frame(design, scene, width=SIDE, height=SIDE, time=0.3 * number).picture


def lettered(lines: Sequence[str], seed: int) -> Picture:
    """Words on a wall of noise, as on a sign or a note."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(150, 200, (SIDE, 2 * SIDE, 3), np.uint8)
    for row, line in enumerate(lines):
        place = (24, 90 + 80 * row)
        cv2.putText(picture, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.3, (20, 20, 20), 3, cv2.LINE_AA)
    return picture


def portrait() -> Picture:
    """A public-domain portrait that ships with scikit-image."""
    from skimage import data

    untyped: Any = data
    return np.asarray(untyped.astronaut(), dtype=np.uint8)


def changed(picture: Picture, seed: int) -> Picture:
    """The same face mirrored, darker, cut and with noise."""
    rng = np.random.default_rng(seed)
    left, top = (int(side) for side in rng.integers(0, 60, 2))
    cut = picture[top : top + 360, 40 + left : 400 + left, :][:, ::-1].astype(np.float32)
    light = float(rng.uniform(0.5, 1.1))
    return np.clip(cut * light + rng.normal(0, 8, cut.shape), 0, 255).astype(np.uint8)


def encoded(picture: Picture, name: str) -> PictureFile:
    """A picture as a file."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return PictureFile(name=name, data=data.tobytes())


class Chain:
    """The whole chain on a registry of its own."""

    def __init__(self, app: App, policy: Policy) -> None:
        self._app, self._policy = app, policy
        bench = app.asking.bench
        self._bench = bench
        self._gate = Gate(bench.eyes, bench.view, bench.settings, whole=True)

    def stops(self, attack: Attack) -> Stopped:
        """The checks that stop it."""
        words: tuple[str, ...] = ()
        material: frozenset[str] = frozenset()
        if attack.picture is not None:
            words, material = self._material(attack.picture)
        whole = Texts(
            history=attack.whole.history, pictures=words, speech=attack.whole.speech,
            prompt=attack.whole.prompt, enhanced=attack.whole.enhanced,
        )  # fmt: skip
        first, last = self.judged([attack.first, whole])
        return Stopped(first=first, whole=last, material=material)

    def judged(self, texts: Sequence[Texts]) -> list[frozenset[str]]:
        """The checks that stop each of the texts."""
        results = self._gate.judge_texts(
            [Wanted(texts=one, policy=self._policy, ask=LOCAL_ACCOUNT) for one in texts], clock()
        )
        return [frozenset(reason.check for reason in one.decision.reasons) for one in results]

    def _material(self, picture: Picture) -> tuple[tuple[str, ...], frozenset[str]]:
        from pipeline import material

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "given.png"
            path.write_bytes(encoded(picture, "given").data)
            seen = material.look_at_material([path], self._bench.eyes, media_limits(self._bench.settings))
        snapshot = self._bench.view.current()
        asked = self._policy.only(policies.CLIP_CHECKS)
        reports = material.reports_of(seen, asked, snapshot, self._bench.eyes.calibrations)
        stopping = (
            report.check
            for report in reports
            if report.state != "completed" or any(not f.score < f.threshold for f in report.findings)
        )
        return seen.words, frozenset(stopping)


@contextmanager
def chain(cases: dict[str, Any], policy: Policy) -> Iterator[Chain]:
    """A home in which the cases' subjects are registered, one of them drawn and one with a portrait."""
    with tempfile.TemporaryDirectory() as home, open_app(load(Path(home))) as app:
        desk = Desk(engine=app.engine, eyes=app.eyes, signer=app.signer, clock=clock)
        for told in cases["registered"]:
            shown = [encoded(portrait(), "portrait.png")] if told["kind"] == "person" else []
            desk.register(
                OptOutOrder(
                    kind=told["kind"], name=told["name"], owner=told["owner"],
                    aliases=tuple(told.get("aliases", ())), description=told.get("description", ""),
                    attributes=tuple(told.get("attributes", ())),
                ),
                shown,
            )  # fmt: skip
        drawn_ones = [encoded(drawn(number), f"{number}.png") for number in range(REGISTERED)]
        desk.register(OptOutOrder(kind="character", name=DRAWN, owner="Vance Drawings"), drawn_ones)
        yield Chain(app, policy)
