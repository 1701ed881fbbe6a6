"""The denoiser: diffusers' LTX transformer, trained by flow matching on codes of drawn clips.

Goes on from DIR/transformer.pt if there is one. Cells that the character covers weigh more. Some steps see
first frames alone, a quarter of the tokens; some clips keep their first frame or their first nine, as in
`LTXConditionPipeline`, so that the same weights begin with a picture and go on with a clip.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from torch_compat import complete_torchvision

complete_torchvision()

from diffusers import LTXVideoTransformer3DModel  # noqa: E402
from transformers import T5EncoderModel, T5Tokenizer  # noqa: E402

from training.generator import captions, data, small_world  # noqa: E402
from training.generator.attention import make_plain  # noqa: E402
from training.generator.text import LENGTH, WIDTH  # noqa: E402

DIM, LAYERS, HEADS = 256, 6, 8
BATCH, STILLS = 16, 48
STILL_STEPS = 0.4  # share of steps that see first frames alone
KEPT = 0.25  # share of clips from their action's start whose beginning is given; of later ones all
KEPT_NOISE = 0.15  # what the pipeline adds to what is given, times the noise level squared
MUON_RATE, ADAM_RATE, TEXT_RATE = 0.01, 1e-3, 2e-4
DROPPED = 0.1  # share of captions left out, for guidance
EMA = 0.999
CHARACTER = 3.0  # how much more its cells weigh
SAVE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """Codes float16[n, 4, 8, 8, latents], cover uint8[n, 4, 8, 8] and what was drawn."""

    codes: np.ndarray
    cover: np.ndarray
    samples: list[small_world.Sample]
    begun: np.ndarray  # the numbers of those that begin where their action does


def shards(folder: Path) -> Shards:
    """All shards that were drawn so far."""
    codes, cover, samples = [], [], []
    for place in sorted(folder.glob("shard_*")):
        lines = (place / "said.jsonl").read_text().splitlines()
        samples += [data.sample_of(line) for line in lines]
        codes.append(np.load(place / "codes.npy", mmap_mode="r")[: len(lines)])
        cover.append(np.load(place / "cover.npy", mmap_mode="r")[: len(lines)])
    begun = np.array([number for number, sample in enumerate(samples) if not sample.begun])
    return Shards(codes=np.concatenate(codes), cover=np.concatenate(cover), samples=samples, begun=begun)


def scales(folder: Path) -> Tensor:
    """What a code is divided by, per channel: half-way to equal spread, so that the coarse leads."""
    std = data.levels(folder)[-1].std
    root = std.sqrt()
    return root * root.square().mean().sqrt()


def new_transformer(folder: Path) -> LTXVideoTransformer3DModel:
    """The one that training starts from: DIR/transformer, else a new one."""
    if (folder / "transformer").exists():
        known = LTXVideoTransformer3DModel.from_pretrained(folder / "transformer").float()
        known.register_to_config(_name_or_path="")  # no folder of this machine in what is exported
        return known
    torch.manual_seed(0)
    model = LTXVideoTransformer3DModel(
        in_channels=data.LATENTS, out_channels=data.LATENTS, num_attention_heads=HEADS,
        attention_head_dim=DIM // HEADS, cross_attention_dim=DIM, num_layers=LAYERS, caption_channels=WIDTH,
    )  # fmt: skip
    nn.init.zeros_(model.proj_out.weight)
    return model


class Optimizer:
    """Muon for the matrices inside the blocks, AdamW for all else, and gently for the text encoder."""

    def __init__(self, model: nn.Module, text: nn.Module) -> None:
        inner = [
            w
            for name, w in model.named_parameters()
            if w.ndim == 2 and "blocks" in name and "table" not in name
        ]
        chosen = {id(w) for w in inner}
        rest = [w for w in model.parameters() if id(w) not in chosen]
        self.parts = [
            torch.optim.Muon(inner, lr=MUON_RATE, weight_decay=0.01, momentum=0.95),
            torch.optim.AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0),
            torch.optim.AdamW(text.parameters(), lr=TEXT_RATE, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    def step(self, share: float) -> None:
        """Step with a share of the full rates, and forget the gradients."""
        for part, rate in zip(self.parts, (MUON_RATE, ADAM_RATE, TEXT_RATE), strict=True):
            for group in part.param_groups:
                group["lr"] = rate * share
            part.step()
            part.zero_grad()


class Reader:
    """Captions to what the transformer sees of them."""

    def __init__(self, folder: Path) -> None:
        self.names = T5Tokenizer.from_pretrained(folder / "tokenizer")
        self.model = T5EncoderModel.from_pretrained(folder / "text_encoder").float().eval()

    def __call__(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Encoded [b, n, width], mask float[b, n]; the encoder sees no mask, as in the pipeline."""
        tokens = self.names(
            texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
        )
        return self.model(tokens.input_ids)[0], tokens.attention_mask.float()


def trained(folder: Path) -> tuple[LTXVideoTransformer3DModel, Reader]:
    """Both as DIR/transformer.pt has them, averaged over the last steps."""
    stored = torch.load(folder / "transformer.pt", weights_only=True)["ema"]
    model, reader = new_transformer(folder), Reader(folder)
    model.load_state_dict(stored["model"])
    reader.model.load_state_dict(stored["text"])
    return model.eval(), reader


def coordinates(times: int) -> Tensor:
    """Where and when cells are, as the pipeline counts it: seconds, rows, columns, float32[1, 3, tokens]."""
    grid = torch.meshgrid(torch.arange(times), *(torch.arange(data.CELLS),) * 2, indexing="ij")
    seconds = (grid[0] * 8 - 7).clamp(min=0) / small_world.RATE
    return torch.stack([seconds, *(axis * data.CELL for axis in grid[1:])]).flatten(1)[None].float()


def denoise(model: nn.Module, noisy: Tensor, sigma: Tensor, text: tuple[Tensor, Tensor]) -> Tensor:
    """The model's velocity (noise minus codes) [b, tokens, latents] at noise levels [b, tokens]."""
    where = coordinates(noisy.shape[1] // data.CELLS**2).expand(len(noisy), -1, -1)
    out = model(
        hidden_states=noisy, encoder_hidden_states=text[0], timestep=sigma * 1000,
        encoder_attention_mask=text[1], video_coords=where, return_dict=False,
    )  # fmt: skip
    return out[0]


class Training:
    """One run, from wherever its file stands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "transformer.pt"
        self.model, self.reader = new_transformer(folder), Reader(folder)
        self.optimizer, self.scales = Optimizer(self.model, self.reader.model), scales(folder)
        self.denoiser: nn.Module = self.model
        self.step, self.spent = 0, 0.0
        self.parts = {"model": self.model, "text": self.reader.model}
        self.ema = {
            name: {key: value.clone() for key, value in part.state_dict().items()}
            for name, part in self.parts.items()
        }
        if self.file.exists():
            stored = torch.load(self.file, weights_only=True)
            for name, part in self.parts.items():
                part.load_state_dict(stored[name])
            self.ema, self.step, self.spent = stored["ema"], stored["step"], stored["spent"]
            for part, state in zip(self.optimizer.parts, stored["optimizers"], strict=True):
                part.load_state_dict(state)
        self.shards = shards(folder)
        self.rng = np.random.default_rng(self.step + 17)
        self.draws = torch.Generator().manual_seed(self.step + 17)

    def run(self, steps: int, cooldown: float, *, compiled: bool = False) -> None:
        """Train until `steps` in all were done; over the last `cooldown` share the rate falls to 0.

        `compiled`: by PyTorch's compiler, which needs a C++ compiler and a minute or two at the start.
        """
        make_plain(self.model)
        self.denoiser = torch.compile(self.model, dynamic=False) if compiled else self.model
        began, saved, seen = time.monotonic() - self.spent, time.monotonic(), []
        while self.step < steps:
            loss = self._loss()
            loss.backward()
            for part in self.parts.values():
                nn.utils.clip_grad_norm_(part.parameters(), 1.0)
            self.optimizer.step(min(1.0, (self.step + 1) / 100, (steps - self.step) / (cooldown * steps)))
            self._average()
            seen.append(float(loss.detach()))
            self.step, self.spent = self.step + 1, time.monotonic() - began
            if self.step % 50 == 0:
                minutes, recent = self.spent / 60, np.mean(seen[-50:])
                print(f"step {self.step} minutes {minutes:.1f} loss {recent:.4f}", flush=True)
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save()
                self.shards, saved = shards(self.folder), time.monotonic()
        self._save()

    def _loss(self) -> Tensor:
        still = self.rng.random() < STILL_STEPS
        among = self.shards.begun if still else len(self.shards.samples)
        chosen = self.rng.choice(among, STILLS if still else BATCH)
        samples = [self.shards.samples[i] for i in chosen]
        texts = [captions.caption(sample, self.rng)[0] for sample in samples]
        texts = ["" if self.rng.random() < DROPPED else text for text in texts]
        times = slice(0, 1) if still else slice(None)
        codes = torch.from_numpy(self.shards.codes[chosen, times].astype(np.float32))
        codes = codes.flatten(1, 3) / self.scales
        cover = torch.from_numpy(self.shards.cover[chosen, times].astype(np.float32)).flatten(1, 3) / 255
        given = torch.zeros_like(cover, dtype=torch.bool) if still else self._given(samples)
        sigma = self._levels(len(codes))
        noise = torch.randn(codes.shape, generator=self.draws)
        level = torch.where(given, KEPT_NOISE * sigma[:, None].square(), sigma[:, None])[..., None]
        kept = torch.where(given[..., None], 1.0, 1 - level)  # what is given is not faded, only noisy
        told = torch.where(given, 0.0, sigma[:, None])
        with torch.autocast("cpu", torch.bfloat16):
            found = denoise(self.denoiser, codes * kept + noise * level, told, self.reader(texts))
        weight = ((1 + CHARACTER * cover) * ~given)[..., None] * (self.scales / self.scales.mean())
        return ((found.float() - (noise - codes)).square() * weight).mean()

    def _levels(self, count: int) -> Tensor:
        """Noise levels, most of them in the middle."""
        spread = torch.randn(count, generator=self.draws) * 1.2 + 0.4
        even = torch.rand(count, generator=self.draws)
        return torch.where(torch.rand(count, generator=self.draws) < 0.15, even, spread.sigmoid())

    def _given(self, samples: list[small_world.Sample]) -> Tensor:
        """Which cells of each clip are given: none, those of the first frame, or of the first nine."""
        given = torch.zeros(len(samples), data.TIMES, data.CELLS**2, dtype=torch.bool)
        for cells, sample in zip(given, samples, strict=True):
            if sample.begun or self.rng.random() < KEPT:
                cells[: self.rng.integers(1, 3)] = True
        return given.flatten(1)

    def _average(self) -> None:
        keep = min(EMA, self.step / (self.step + 10))
        with torch.no_grad():
            for name, part in self.parts.items():
                for key, value in part.state_dict().items():
                    self.ema[name][key].lerp_(value, 1 - keep)

    def _save(self) -> None:
        stored = {name: part.state_dict() for name, part in self.parts.items()} | {
            "ema": self.ema, "step": self.step, "spent": self.spent,
            "optimizers": [part.state_dict() for part in self.optimizer.parts],
        }  # fmt: skip
        torch.save(stored, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)
