"""The small CLIP's second stage: families are look-alikes, losses pull as they say, a run resumes."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from torch_compat import complete_torchvision

complete_torchvision()

from generator.embedded.world.design import differing  # noqa: E402
from training.clip import families, family_batches, finetune, gate  # noqa: E402
from training.clip.coded import coded  # noqa: E402
from training.clip.evaluate import Trial  # noqa: E402
from training.clip.families import MEMBERS, draw, members  # noqa: E402
from training.clip.family_batches import FamilyBatches  # noqa: E402
from training.clip.family_losses import family_losses  # noqa: E402
from training.clip.losses import Heads  # noqa: E402
from training.clip.others import Material  # noqa: E402

STOCK = Material(photos=[np.full((120, 120, 3), 90, np.uint8)], figures=[])


@pytest.fixture(scope="module", name="cache")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    draw(folder, 5, 30, 3, STOCK)
    return folder


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family_batches, "FAMILIES", 2)
    monkeypatch.setattr(family_batches, "NOBODY", 8)


def test_no_two_members_of_a_family_have_the_same_change() -> None:
    for seed in range(20):
        family = members(np.random.default_rng(seed))
        changes = [differing(family[0], other) for other in family[1:]]
        assert len(family) == MEMBERS
        assert all(changes)
        assert all(one != other for one, other in combinations(changes, 2))


def test_the_cache_says_what_is_in_it(cache: Path) -> None:
    rows = [json.loads(line) for line in (cache / "rows.jsonl").read_text().splitlines()]
    pictures = np.load(cache / "pictures.npy")
    assert len(pictures) == len(rows)
    whole = [row for row in rows if row["kind"] == "world" and row["full"]]
    assert len(whole) >= 5 * families.SCENES * MEMBERS
    assert not (cache / "pictures.new.npy").exists()


def test_coarse_coding_keeps_the_picture(cache: Path) -> None:
    picture = np.load(cache / "pictures.npy")[0][:91]
    made = coded(picture, 40, np.random.default_rng(0))
    assert made.shape == (90, 96, 3)
    assert 0.5 < np.abs(made.astype(float) - picture[:90]).mean() < 25


def test_the_losses_know_right_from_wrong(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors that tell every design apart cost less than those that tell families only."""
    small(monkeypatch)
    drawn = FamilyBatches([cache], seed=1).draw()
    designs, owners = drawn.batch.designs, drawn.batch.text_designs
    heads, scale = Heads(), torch.tensor(20.0)

    def cost(pictures: torch.Tensor, texts: torch.Tensor) -> dict[str, float]:
        names = sorted({*pictures.tolist(), *texts.tolist()})
        places = torch.eye(256)
        one = places[[names.index(name) for name in pictures.tolist()]]
        other = places[[names.index(name) for name in texts.tolist()]]
        found = family_losses(one, other, scale, heads, drawn)
        return {name: float(value.detach()) for name, value in found.items()}

    right, kin = cost(designs, owners), cost(drawn.families, drawn.text_families)
    for name in ("family", "pairs", "picture", "clip"):
        assert right[name] < kin[name], name
    assert right["family"] < 0.01


def test_a_run_learns_and_resumes(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    torch.manual_seed(1)
    run = finetune.Tuning(tmp_path, finetune.SHIPPED, seconds=1e-6)
    batches = FamilyBatches([cache], seed=2)
    before = run.model.visual.conv1.weight.detach().clone()
    assert all(np.isfinite(value) for value in run.learn(batches.draw()).values())
    assert not torch.equal(before, run.model.visual.conv1.weight)
    run.step, run.spent = 1, 2.5
    run._keep()
    again = finetune.Tuning(tmp_path, finetune.SHIPPED, seconds=10)
    assert (again.step, again.spent) == (1, 2.5)
    assert torch.equal(again.model.visual.conv1.weight, run.model.visual.conv1.weight)
    assert {path.name for path in (tmp_path / "export").iterdir()} >= {
        "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"
    }  # fmt: skip


def test_a_trial_is_drawn_from_its_seed() -> None:
    one, same = (Trial.drawn(seed=5, registered=2, clips=2, frames=1, finish_clips=1) for _ in range(2))
    assert np.array_equal(one.clips, same.clips)
    assert one.kinds.tolist().count("other") == 2 * 2 + 4
    assert set(one.owners[one.kinds == "registered"]) == {0, 1}


def test_the_gate() -> None:
    from benchmarks.common import rate

    def rows(found: int, accepted: int, first: int) -> gate.Pooled:
        shares = {gate.FOUND: found, gate.ACCEPTED: accepted, "recall@1, clip": first}
        return {(name, "product", ""): rate(name, good, 400) for name, good in shares.items()}

    old = rows(80, 220, 390)
    assert not list(gate.objections(old, rows(320, 40, 390)))
    assert [told[:3] for told in gate.objections(old, rows(85, 40, 390))] == ["NOT"]
    assert [told[:3] for told in gate.objections(old, rows(320, 210, 390))] == ["NOT"]
    assert [told[:5] for told in gate.objections(old, rows(320, 40, 340))] == ["WORSE"]
