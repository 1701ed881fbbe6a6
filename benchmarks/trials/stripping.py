"""Trials of the recovery benchmark: releases in a home, stripped of their credential, and what stays known.

One trial is a release, a kind and a number; size, crop, quality are drawn from the number. The kinds:

- `remux`: packets copied into another container, which leaves the credential behind;
- `re-encode`: decoded, scaled to 480 to 720 lines, encoded by x264 at crf 23 to 33;
- `crop`: 5 to 15 % of both sides cut off first, the part anywhere in the frame;
- `unmarked`: the clip a release was made from, treated like a release: what must never be recovered;
- `transplant`: what was added to a release (its file less the very clip it was made from: nobody can know
  the mark better) laid over another clip.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.attacks import geometry
from benchmarks.attacks.footage import Footage, Frame, Situation, even, from_rgb, joined, resized
from benchmarks.tools.containers import remux
from benchmarks.trials.material import REAL, RENDERED, Source, laid_down
from benchmarks.trials.pairs import KEPT_CRF, filed
from benchmarks.trials.pasting import difference, pasted
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from pipeline.app import open_app
from pipeline.media.reader import open_clip
from pipeline.media.types import MediaLimits
from pipeline.orders import GuardOrder
from pipeline.policy import Sound
from pipeline.settings import load
from pipeline.verify.opening import open_local

REMUX: Final = "remux"
REENCODE: Final = "re-encode"
CROP: Final = "crop"
UNMARKED: Final = "unmarked"
TRANSPLANT: Final = "transplant"
MARKED_KINDS: Final = (REMUX, REENCODE, CROP)
KINDS: Final = (*MARKED_KINDS, UNMARKED, TRANSPLANT)

SEED: Final = 64
CONTAINERS: Final = ("mp4", "mov", "matroska")
LINES: Final = (480, 540, 576, 640, 720)
CRF: Final = (23, 33)  # both are drawn
CUT: Final = (0.05, 0.15)  # share of both sides
DRAWN_SIZE: Final = (1280, 720)
DRAWN_RATE: Final = 12.0
DRAWN_SECONDS: Final = 5.0
HOST_CRF: Final = 23.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried: a kind, the release's clip by name, and the number that its treatment follows from."""

    kind: str
    clip: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What is done: share of both sides kept, lines of the short side, x264's crf."""

    kept: float
    lines: int
    crf: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A clip, what it was released as, and the release's number."""

    material: str
    plain: Path
    file: Path
    release: str


class Stand:
    """Clips and their releases in `folder`; what is there already stays."""

    def __init__(self, sources: Sequence[Source], drawn: int, folder: Path) -> None:
        self._folder, self._home = folder, folder / "home"
        self._plain = {source.path.stem: (REAL, source.path) for source in sources}
        names = [f"drawn_{number + 1}" for number in range(drawn)]
        self._plain |= {name: (RENDERED, folder / "clips" / f"{name}.mp4") for name in names}
        self.clips = list(self._plain)

    def prepare(self, said: Callable[[str], None]) -> None:
        """Draw and release what is not there yet; what cannot be released is told and left out."""
        for part in ("clips", "releases"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        missing = [name for name in self.clips if not self._record(name).exists()]
        with open_app(load(self._home)) as app:
            for name in missing:
                material, plain = self._plain[name]
                if material == RENDERED and not plain.exists():
                    _draw(int(name.rpartition("_")[2]), plain)
                order = GuardOrder(source=plain, policy="marks-only", sound=Sound.STRIP)
                outcome = app.guard(order, lambda *_told: None)
                if outcome.release is None or outcome.file is None:
                    said(f"{name} is left out: it is held")
                    self.clips.remove(name)
                    continue
                told = {"release": outcome.release.id, "file": str(outcome.file.relative_to(self._folder))}
                self._record(name).write_text(json.dumps(told), encoding="utf-8")
                said(f"released {name}")

    def _record(self, name: str) -> Path:
        return self._folder / "releases" / f"{name}.json"

    def released(self, name: str) -> Released:
        """A clip's release."""
        told = json.loads(self._record(name).read_text(encoding="utf-8"))
        material, plain = self._plain[name]
        return Released(
            material=material, plain=plain, file=self._folder / told["file"], release=told["release"]
        )

    def attempt(self, trial: Trial) -> dict[str, Any]:
        """Do it, verify the file, and say what came out. `right`: the report names the release that it is."""
        released = self.released(trial.clip)
        with tempfile.TemporaryDirectory(prefix="countermark-strip-") as name:
            made = self._made(trial, released, Path(name))
            with open_local(load(self._home)) as verifier:
                report = verifier.verify(made)
        named = report.release.id if report.release else None
        payload = report.evidence["hidden_mark"].found.get("payload")
        return {
            "verdict": str(report.verdict), "right": named == released.release, "named": named is not None,
            "read": payload is not None, "material": released.material, "flags": list(report.flags),
        }  # fmt: skip

    def _made(self, trial: Trial, released: Released, scratch: Path) -> Path:
        target = scratch / "clip.mp4"
        if trial.kind == REMUX:
            form = CONTAINERS[trial.number % len(CONTAINERS)]
            return remux(released.file, scratch / f"clip.{'mkv' if form == 'matroska' else form}", form=form)
        if trial.kind == TRANSPLANT:
            return filed(self._transplanted(trial, released, scratch), target, HOST_CRF)
        source = released.plain if trial.kind == UNMARKED else released.file
        return _treated(_read(source, scratch / "raw"), trial, target)

    def _transplanted(self, trial: Trial, released: Released, scratch: Path) -> Footage:
        place = self.clips.index(trial.clip)
        host = self.clips[(place + 1 + trial.number) % len(self.clips)]
        marked, plain = _read(released.file, scratch / "marked"), _read(released.plain, scratch / "plain")
        laid_on = _read(self._plain[host][1], scratch / "host")
        return pasted(laid_on, partial(difference, marked, plain), (1.0, 2.0)[trial.number % 2])


def trials(clips: Sequence[str], counts: dict[str, int]) -> list[Trial]:
    """So many trials of each kind, the kinds mixed and the clips by turns: a run that is cut short has some
    of everything.
    """
    placed = [
        ((number + 0.5) / count, kind, number) for kind, count in counts.items() for number in range(count)
    ]
    return [
        Trial(kind=kind, clip=clips[number % len(clips)], number=number // len(clips))
        for _, kind, number in sorted(placed)
    ]


def treatment(trial: Trial) -> Treatment:
    """What follows from a trial's name: the same every time."""
    random = np.random.default_rng([SEED, KINDS.index(trial.kind), trial.number, *trial.clip.encode()])
    lines, crf = int(random.choice(LINES)), int(random.integers(CRF[0], CRF[1] + 1))
    cut = float(random.uniform(*CUT))
    cropped = trial.kind == CROP or (trial.kind == UNMARKED and trial.number % 2 == 1)
    return Treatment(kept=1 - cut if cropped else 1.0, lines=lines, crf=crf)


def _treated(footage: Footage, trial: Trial, target: Path) -> Path:
    wanted = treatment(trial)
    if wanted.kept < 1:
        footage = geometry.crop(footage, Situation(seed=trial.number), side=wanted.kept)
    factor = wanted.lines / min(footage.width, footage.height)
    width, height = even(footage.width * factor), even(footage.height * factor)
    shrunk = footage.each(lambda image: resized(image, width, height), (width, height))
    return filed(shrunk, target, float(wanted.crf))


def _draw(number: int, target: Path) -> None:
    random = np.random.default_rng([SEED, number])
    design, scene = random_design(random), random_scene(random)
    width, height = DRAWN_SIZE

    def frames() -> Iterator[Frame]:
        for time in (index / DRAWN_RATE for index in range(round(DRAWN_SECONDS * DRAWN_RATE))):
            drawn = render_frame(design, scene, width=width, height=height, time=time)
            yield Frame(time, from_rgb(drawn.picture))

    footage = Footage(width=width, height=height, rate=DRAWN_RATE, seconds=DRAWN_SECONDS, play=frames)
    filed(footage, target, KEPT_CRF)


def _read(path: Path, scratch: Path) -> Footage:
    """A file's frames, laid down once."""
    with open_clip(path, limits=MediaLimits(), threads=1) as clip:
        width, height = even(clip.info.width), even(clip.info.height)
        frames = (
            Frame(frame.time, resized(joined(frame.y, frame.u, frame.v), width, height))
            for frame in clip.frames()
            if frame.u is not None and frame.v is not None
        )
        return laid_down(frames, scratch, float(clip.info.frame_rate or DRAWN_RATE))
