"""Classifiers of what a clip of the small world shows, trained on rendered frames only.

Two convolutional networks: one tells looks from single frames, the other actions from five moments. They are
made anew for each run, or kept in a file; what they get right on rendered clips stands beside the rest.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from generator.embedded.world.design import COLOURS, HATS, NONE, SPECIES
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import BACKGROUNDS
from training.generator import small_world
from training.generator.small_world import Sample

SIDE: Final = 96
MOMENTS: Final = (0, 6, 12, 18, 24)  # frames at the small world's rate
LOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    "species": SPECIES, "colour": tuple(COLOURS), "hat": HATS[1:], "background": BACKGROUNDS,
    "time": small_world.TIMES,
}  # fmt: skip
ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {"action": small_world.ACTIONS}
UNKNOWN: Final = -100  # an attribute that a clip has not, as cross entropy leaves it out
UNSEEN_SHARE: Final = 1 / 7  # of drawn clips, those of looks that the generator never saw
HATTED_SHARE: Final = 0.5  # of characters the looks are learnt from: hats are the hardest to tell
BATCH, RATE, EPOCHS = 64, 1.5e-3, 8
SHIFT: Final = 4  # pixels

Clip = NDArray[np.uint8]
Counts = dict[str, tuple[int, int]]
"""By attribute: right, of."""


def truth(sample: Sample, values: Mapping[str, tuple[str, ...]]) -> list[int]:
    """The class of each attribute, `UNKNOWN` where there is none."""
    design, scene = sample.design, sample.scene
    said = {"background": scene.background, "time": scene.time}
    if design is not None:
        said |= {"action": scene.action, "species": design.species, "colour": design.colour}
        said |= {} if design.hat == NONE else {"hat": design.hat}
    return [known.index(said[name]) if name in said else UNKNOWN for name, known in values.items()]


def moments(frames: NDArray[np.uint8]) -> Clip:
    """The five moments of frames at the small world's rate, ``uint8[5, 96, 96, 3]``."""
    return np.stack([cv2.resize(frames[m], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for m in MOMENTS])


def rendered(sample: Sample, chosen: Sequence[int] = MOMENTS) -> Clip:
    """The same of a clip as it is drawn."""
    times = [small_world.TEMPO * (sample.begun + moment) / small_world.RATE for moment in chosen]
    size = {"width": SIDE, "height": SIDE, "oversample": 1}
    frames = [render_frame(sample.design, sample.scene, time=time, **size) for time in times]
    return np.stack([frame.picture for frame in frames])


class _Net(nn.Module):
    """Frames ``uint8[b, n, 96, 96, 3]`` to the logits of each attribute."""

    def __init__(self, frames: int, values: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for into, out in pairwise([3 * frames, 32, 64, 96, 128]):
            layers += [nn.Conv2d(into, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU()]
        self.seen = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 36, 256), nn.ReLU())
        self.answers = nn.ModuleList(nn.Linear(256, len(known)) for known in values.values())

    def forward(self, frames: Tensor) -> list[Tensor]:
        found = self.seen(frames.permute(0, 1, 4, 2, 3).flatten(1, 2).float() / 127.5 - 1)
        return [answer(found) for answer in self.answers]


class Judges:
    """Both networks."""

    def __init__(self, looks: _Net, actions: _Net) -> None:
        self._nets = nn.ModuleDict({"looks": looks, "actions": actions}).eval()

    def weights(self) -> dict[str, Tensor]:
        """Of both."""
        return self._nets.state_dict()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Weights of others of their kind."""
        self._nets.load_state_dict(weights)

    def right(self, clips: Sequence[Clip], samples: Sequence[Sample]) -> Counts:
        """How many clips show what they should."""
        counts = {}
        for name, (found, wanted) in self._read(clips, samples).items():
            known = wanted != UNKNOWN
            counts[name] = (int((found.argmax(1) == wanted)[known].sum()), int(known.sum()))
        return counts

    def fits(self, clips: Sequence[Clip], samples: Sequence[Sample]) -> NDArray[np.float32]:
        """Log-probability that each clip shows each sample, ``float32[clips, samples]``.

        An attribute that a sample has not says nothing: each of its values is as likely.
        """
        found = torch.zeros(len(clips), len(samples))
        for seen, wanted in self._read(clips, samples).values():
            even = torch.full((len(clips), 1), -math.log(seen.shape[1]))
            found += torch.cat([seen, even], 1)[:, wanted.where(wanted != UNKNOWN, seen.shape[1])]
        return found.numpy()

    @torch.inference_mode()
    def _read(self, clips: Sequence[Clip], samples: Sequence[Sample]) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each attribute: log-probabilities of its values in each clip, and what the samples have.

        A look is what its five moments say together.
        """
        seen = torch.from_numpy(np.stack(clips))
        single = self._nets["looks"](seen.flatten(0, 1)[:, None])
        logits = [part.unflatten(0, seen.shape[:2]).mean(1) for part in single] + self._nets["actions"](seen)
        values = {**LOOKS, **ACTIONS}
        wanted = torch.tensor([truth(sample, values) for sample in samples]).unbind(1)
        read = zip(values, logits, wanted, strict=True)
        return {name: (found.log_softmax(1), known) for name, found, known in read}


def kept(file: Path | None, looks: int, actions: int) -> Judges:
    """Those of a file if it is there; else newly trained ones, and kept there."""
    if file is None or not file.exists():
        made = trained(looks, actions)
        if file is not None:
            save_file(made.weights(), file)
        return made
    found = Judges(_Net(1, LOOKS), _Net(len(MOMENTS), ACTIONS))
    found.load(load_file(file))
    return found


def trained(looks: int, actions: int, seed: int = 5) -> Judges:
    """Judges trained on so many rendered frames, and on so many clips."""
    single, several = list(_samples(looks, seed, hatted=HATTED_SHARE)), list(_samples(actions, seed + 1))
    chosen = np.random.default_rng([seed, 3]).integers(small_world.FRAMES, size=(looks, 1))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        frames = np.stack(list(pool.map(rendered, single, chosen.tolist(), chunksize=100)))
        clips = np.stack(list(pool.map(rendered, several, chunksize=50)))
    return Judges(_fit(frames, single, LOOKS, seed), _fit(clips, several, ACTIONS, seed))


def _fit(
    clips: NDArray[np.uint8], samples: Sequence[Sample], values: Mapping[str, tuple[str, ...]], seed: int
) -> _Net:
    wanted = torch.tensor([truth(sample, values) for sample in samples])
    torch.manual_seed(seed)
    net, rng = _Net(clips.shape[1], values), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.02)
    batches = len(clips) // BATCH
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches)
    net.train()
    for _ in range(EPOCHS):
        for chosen in np.array_split(rng.permutation(len(clips))[: batches * BATCH], batches):
            logits = net(torch.from_numpy(_worn(clips[chosen], rng)))
            losses = [functional.cross_entropy(found, wanted[chosen, i]) for i, found in enumerate(logits)]
            optimizer.zero_grad()
            torch.stack(losses).nansum().backward()
            optimizer.step()
            plan.step()
    return net


def _samples(clips: int, seed: int, hatted: float = 0.0) -> Iterator[Sample]:
    """Samples, of which at least a share wear something on their heads."""
    rng = np.random.default_rng([seed, 77])
    for _ in range(clips):
        unseen, wanted = bool(rng.random() < UNSEEN_SHARE), rng.random() < hatted
        found = small_world.sample(rng, unseen=unseen)
        while wanted and (found.design is None or found.design.hat == NONE):
            found = small_world.sample(rng, unseen=unseen)
        yield found


def _worn(clips: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Clips blurred, noisy, darker and shifted a little: what is generated is never as clean."""
    out = np.empty_like(clips)
    noise = rng.standard_normal((2, *clips.shape[1:]), np.float32)
    for index, clip in enumerate(clips):
        across, down = (int(rng.integers(-SHIFT, SHIFT + 1)) for _ in range(2))
        moved = np.roll(clip, (down, across), axis=(1, 2)).astype(np.float32)
        if rng.random() < 0.5:
            sigma = float(rng.uniform(0.3, 2.0))
            moved = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in moved])
        grain = np.roll(noise[index % 2], int(rng.integers(SIDE)), axis=1) * np.float32(8 * rng.random())
        out[index] = np.clip(moved * np.float32(rng.uniform(0.9, 1.1)) + grain, 0, 255)
    return out
