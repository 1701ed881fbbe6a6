"""The small CLIP's second stage: families are look-alikes, losses pull as they say, a run resumes."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torch_compat import complete_torchvision

complete_torchvision()

from generator.embedded.world.design import differing  # noqa: E402
from training.clip import families, family_batches, finetune, gate, instances, shapes  # noqa: E402
from training.clip.coded import coded  # noqa: E402
from training.clip.evaluate import Trial  # noqa: E402
from training.clip.families import MEMBERS, Plan, draw, members, squared  # noqa: E402
from training.clip.family_batches import FamilyBatches  # noqa: E402
from training.clip.family_losses import family_losses  # noqa: E402
from training.clip.instances import random_instance  # noqa: E402
from training.clip.losses import Heads  # noqa: E402
from training.clip.muon import orthogonal  # noqa: E402
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
    monkeypatch.setattr(family_batches, "SINGLES", 2)


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


def test_designs_without_look_alikes_are_drawn_from_near_too(tmp_path: Path) -> None:
    draw(tmp_path, 3, 2, 4, STOCK, Plan(members=1, scenes=2, close=2))
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    shown = [row for row in rows if row["kind"] == "world"]
    assert {row["member"] for row in shown} == {0}
    assert 3 * 2 * 3 <= len(shown) <= 3 * 2 * 4
    batches = FamilyBatches([tmp_path], seed=1)
    assert not batches.able
    assert set(batches.singles) <= {0, 1, 2}


@pytest.mark.parametrize(("share", "full"), [(0.0, True), (1.0, False)])
def test_a_frame_that_is_squeezed_says_nothing_about_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, full: bool
) -> None:
    """It counts as a part, which is compared with no other member of its family."""
    monkeypatch.setattr(families, "WIDE_SHARE", share)
    monkeypatch.setattr(families, "REGION_SHARE", 0.0)
    draw(tmp_path, 2, 0, 5, STOCK, Plan(members=2, scenes=2, square=True))
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {row["full"] for row in rows if row["kind"] == "world"} == {full}


@given(
    width=st.integers(1, 400), height=st.integers(1, 400), data=st.data(),
)  # fmt: skip
def test_the_square_about_a_box_lies_in_the_frame(width: int, height: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    x, y, end, low = squared((left, top, right, bottom), width, height)
    side = min(max(right - left, bottom - top), width, height)
    assert (end - x, low - y) == (side, side)
    assert 0 <= x < end <= width
    assert 0 <= y < low <= height
    if side == max(right - left, bottom - top):
        assert x <= left < right <= end
        assert y <= top < bottom <= low


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


def test_things_are_designs_of_their_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    drawn = FamilyBatches([cache], seed=1, stock=STOCK).draw()
    things = drawn.batch.designs[drawn.batch.designs >= family_batches.FIRST_THING]
    assert len(things) == family_batches.THINGS * family_batches.THING_VIEWS
    assert len(set(things.tolist())) == family_batches.THINGS
    assert len(drawn.batch.pictures) == len(drawn.batch.designs) == len(drawn.families) == len(drawn.whole)


def test_views_of_a_thing_are_more_alike_than_two_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "DRAWN_SHARE", 0)
    monkeypatch.setattr(instances, "PASTED_SHARE", 0)
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, (8, 8, 3), np.uint8)
    stock = Material(photos=[blocks.repeat(60, axis=0).repeat(60, axis=1)], figures=[])
    pairs = [np.stack(random_instance(stock, 2, rng)).mean(axis=(1, 2)) for _ in range(60)]
    tints = np.array([pair - pair.mean(axis=1, keepdims=True) for pair in pairs])
    same = np.abs(tints[:, 0] - tints[:, 1]).mean()
    other = np.abs(tints[:-1, 0] - tints[1:, 1]).mean()
    assert same < 0.8 * other


def test_nobody_is_like_nobody(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of nobody in one place cost more than apart from each other."""
    small(monkeypatch)
    drawn = FamilyBatches([cache], seed=1).draw()
    heads, scale, places = Heads(), torch.tensor(20.0), torch.eye(256)
    names = sorted({*drawn.batch.designs.tolist()})
    numbers = torch.tensor([names.index(name) for name in drawn.batch.designs.tolist()])
    texts = places[[names.index(name) for name in drawn.batch.text_designs.tolist()]]
    together = family_losses(places[numbers], texts, scale, heads, drawn)
    nobody = drawn.batch.designs < 0
    numbers[nobody] = torch.arange(100, 100 + int(nobody.sum()))
    apart = family_losses(places[numbers], texts, scale, heads, drawn)
    assert apart["pairs"] < together["pairs"]


def test_orthogonal_brings_singular_values_near_one() -> None:
    for shape in ((24, 60), (60, 24)):
        matrix = torch.from_numpy(np.random.default_rng(1).normal(size=shape).astype(np.float32))
        made = torch.linalg.svdvals(orthogonal(matrix))
        assert made.shape == (24,)
        assert 0.5 < float(made.min()) < float(made.max()) < 1.4


def test_shapes_learn_and_hand_on_their_readers(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    monkeypatch.setattr(shapes, "PICTURES", 16)
    (tmp_path / "first").mkdir()
    run = shapes.Shapes(tmp_path / "first", shapes.SHIPPED, seconds=1e-6, side=64)
    before = run.model.visual.conv1.weight.detach().clone()
    lost = run.learn(shapes.Pictures([cache], 1, 64).draw())
    assert set(lost) == {"features"}
    assert np.isfinite(lost["features"])
    assert not torch.equal(before, run.model.visual.conv1.weight)
    run._keep()
    later = shapes.Shapes(tmp_path / "second", tmp_path / "first" / "export", seconds=1, side=96)
    assert torch.equal(later.features[0].weight, run.features[0].weight)
    assert set(later.learn(shapes.Pictures([cache], 1, 96).draw())) == {"features", "vectors"}


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
