"""Fitting, converting and calibrating what judges frames: on pictures that the test draws, by the small CLIP.

Drawn characters with a pointed hat stand for one category, others for harmless pictures: that is what the
small CLIP knows. Such a head says nothing about anything unsafe.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_pictures import save_classifier

from classifiers import thresholds
from classifiers.base import Picture
from classifiers.embed import OpenClipEmbedder
from classifiers.errors import ModelUnusable
from classifiers.unsafe.check import CATEGORIES
from classifiers.unsafe.frames import check_unsafe_frames, demand_layers
from classifiers.unsafe.heads import ConceptHead, load
from classifiers.unsafe.pictures import open_classifier
from classifiers.unsafe.taxonomy import Category
from generator.embedded.world.design import random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from pipeline.checks import look_at_pictures
from pipeline.errors import UsageError
from pipeline.eyes import Eyes, FrameSettings
from training.concepts import command, material, words
from training.concepts.convert import converted

HATTED, EACH = Category.DISTURBING, 24


def drawn(number: int, *, hat: bool) -> Picture:
    rng = np.random.default_rng(40_000 + number + 500 * hat)
    design = random_design(rng)
    while (design.hat == "pointed hat") != hat:
        design = random_design(rng)
    return render_frame(design, random_scene(rng), width=128, height=128, time=0.0).picture


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    for name, hat in ((str(HATTED), True), ("harmless", False)):
        (folder / name).mkdir()
        for number in range(EACH):
            picture = drawn(number, hat=hat)
            cv2.imwrite(str(folder / name / f"{number:03}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["python -m training concepts", *map(str, arguments)])
    return command.main()


@pytest.fixture(scope="module")
def clip() -> OpenClipEmbedder:
    return OpenClipEmbedder()


def test_a_head_is_fitted_calibrated_and_starts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert run(monkeypatch, "--data", data, "--out", home, "--false-positives", 0.1) == 0
    told = capsys.readouterr()
    assert "unsafe_clip_disturbing: threshold" in told.out
    assert "ECE" in told.out
    path = home / command.FILE
    settings = FrameSettings(head=path, head_sha256=load(path).digest)
    eyes = Eyes("embedded", None, home, frames=settings)
    [judge] = eyes.frame_judges().all
    calibration = eyes.calibrations[judge.space]
    measured = calibration.reliability["unsafe_clip_disturbing"]
    assert (measured.own, measured.strangers) == (EACH, EACH)
    assert measured.found >= 0.6 * EACH  # of pictures whose head had not learnt them
    assert measured.passed <= 0.25 * EACH
    assert (home / "calibrations" / f"{judge.space}.svg").is_file()
    # New pictures, by the checks themselves.
    found = [_found(drawn(2000 + number, hat=hat), eyes) for hat in (True, False) for number in range(8)]
    assert sum(found[:8]) >= sum(found[8:]) + 4
    # The same order again is refused unless it is forced.
    assert run(monkeypatch, "--data", data, "--out", home, "--false-positives", 0.1) == 3
    assert "--force" in capsys.readouterr().err


def _found(picture: Picture, eyes: Eyes) -> bool:
    from benchmarks.tools.part_eyes import PartEyes

    class Judging(PartEyes):
        frame_judges = eyes.frame_judges

    sight = look_at_pictures([picture], Judging(clip=eyes.clip)).sight
    return bool(check_unsafe_frames(sight, eyes.calibrations).findings)


def test_a_classifier_is_calibrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, home = save_classifier(tmp_path / "model", ["nsfw", "normal"]), tmp_path / "home"
    data = tmp_path / "data"
    rng = np.random.default_rng(1)
    for name, channel in (("sexual", 2), ("harmless", 0)):  # red, blue: OpenCV writes BGR
        (data / name).mkdir(parents=True)
        for number in range(20):
            picture = np.zeros((96, 96, 3), np.uint8)
            picture[..., channel] = 200 + rng.integers(0, 55)
            cv2.imwrite(str(data / name / f"{number:02}.png"), picture)
    arguments = ["--data", data, "--out", home, "--classifier", folder, "--false-positives", 0.1]
    assert run(monkeypatch, *arguments) == 0
    judge = open_classifier(str(folder))
    calibration = thresholds.load(judge.space, [home / "calibrations"])
    demand_layers(judge, calibration)
    assert calibration.reliability["unsafe_clip_sexual"].found >= 18
    eyes = Eyes("embedded", None, home, frames=FrameSettings(classifier=str(folder)))
    assert eyes.frame_judges().classifier is not None


def test_too_little_material_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--data", data, "--out", tmp_path / "home") == 3
    assert "needs 100 for a false-positive rate of 0.01" in capsys.readouterr().err
    assert not (tmp_path / "home" / command.FILE).exists()


@pytest.mark.parametrize(
    ("folders", "wanted"),
    [
        (("harmless",), "one for each category"),
        (("sexual",), "a folder harmless"),
        (("harmless", "nude"), "may not be called 'nude'"),
        (("harmless", "minors"), "may not be called 'minors'"),
    ],
)
def test_material_laid_out_otherwise_is_refused(tmp_path: Path, folders: Sequence[str], wanted: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(UsageError, match=wanted):
        material.read(tmp_path)


def test_a_picture_may_be_of_two_categories(tmp_path: Path) -> None:
    for name in ("harmless", "gore+violence"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), np.zeros((64, 64, 3), np.uint8))
    items = material.read(tmp_path)
    assert [item.labels for item in items] == [{Category.GORE, Category.VIOLENCE}, frozenset()]
    assert material.categories_of(items) == (Category.VIOLENCE, Category.GORE)


class Sequential(torch.nn.Module):
    """As LAION's head for ViT-H/14 is built, with fewer numbers."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        nn = torch.nn
        self.layers = nn.Sequential(
            nn.Linear(wide, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 6), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(6, 4), nn.Linear(4, 1),
        )  # fmt: skip

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.layers(rows)  # type: ignore[no-any-return]


class Normalised(torch.nn.Module):
    """As the ports of LAION's heads for ViT-L/14 and ViT-B/32 are built."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.norm = torch.nn.Module()
        self.norm.register_buffer("mean", torch.randn(1, wide) * 0.1)
        self.norm.register_buffer("variance", torch.rand(1, wide) + 0.1)
        self.linear_1, self.linear_2 = torch.nn.Linear(wide, 8), torch.nn.Linear(8, 6)
        self.linear_3 = torch.nn.Linear(6, 1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        rows = (rows - self.norm.mean) / self.norm.variance.sqrt()  # type: ignore[operator,union-attr]
        return self.linear_3(self.linear_2(self.linear_1(rows).relu()).relu())  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [Sequential, Normalised])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_heads_of_laion_are_taken_over(
    kind: type[Sequential | Normalised], suffix: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model, wide = kind(16).eval(), 16
    path = tmp_path / f"head{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        from safetensors.torch import save_file

        save_file(model.state_dict(), path)
    head = converted(path, "clip-1", wide, [Category.SEXUAL])
    rows = torch.nn.functional.normalize(torch.randn(9, wide), dim=1)
    with torch.no_grad():
        wanted = model(rows)[:, 0].numpy()
    found = head.logits(rows.numpy())[:, CATEGORIES.index(Category.SEXUAL)]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    with pytest.raises(ModelUnusable, match="takes vectors of 16 numbers, and this CLIP makes 512"):
        converted(path, "clip-1", 512, [Category.SEXUAL])
    with pytest.raises(ModelUnusable, match="has 1 outputs, and 2 are named"):
        converted(path, "clip-1", wide, [Category.SEXUAL, None])


def test_a_head_without_relu_is_taken_over_as_such(tmp_path: Path) -> None:
    torch.manual_seed(3)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(8, 6), nn.Dropout(0.2), nn.Linear(6, 2)).eval()
    torch.save(model.state_dict(), tmp_path / "plain.pth")
    head = converted(tmp_path / "plain.pth", "clip-1", 8, [None, Category.SEXUAL], plain=True)
    rows = torch.randn(5, 8)
    with torch.no_grad():
        wanted = model(rows)[:, 1].numpy()
    found = head.logits(rows.numpy())[:, CATEGORIES.index(Category.SEXUAL)]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_converted_head_is_calibrated_and_starts(
    data: Path, clip: OpenClipEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    torch.save(Sequential(clip.dimension).state_dict(), tmp_path / "theirs.pth")
    home = tmp_path / "home"
    arguments = ["--data", data, "--out", home, "--convert", tmp_path / "theirs.pth"]
    assert run(monkeypatch, *arguments, "--outputs", "disturbing", "--false-positives", 0.1) == 0
    head = ConceptHead(home / command.FILE, clip.space)
    assert head.head.made["converted from"] == "theirs.pth"
    demand_layers(head, thresholds.load(head.space, [home / "calibrations"]))
    assert run(monkeypatch, *arguments, "--outputs", "lewd", "--force") == 3


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("1/0",))


def test_a_file_that_would_run_code_is_refused_unread(tmp_path: Path) -> None:
    torch.save({"layers.0.weight": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04")
    torch.save({"conv.weight": torch.zeros(2, 2)}, tmp_path / "unnumbered.pth")
    torch.save({"0.weight": torch.zeros(2, 2, 2), "0.bias": torch.zeros(2)}, tmp_path / "conv.pth")
    for name, wanted in (
        ("evil.pth", "tensors alone"), ("torn.pth", "tensors alone"), ("gone.pth", "cannot be read"),
        ("unnumbered.pth", "no linear layers by number"), ("conv.pth", "not linear"),
    ):  # fmt: skip
        with pytest.raises(ModelUnusable, match=wanted):
            converted(tmp_path / name, "clip-1", 2, [Category.SEXUAL])


def test_words_make_a_head_where_the_clip_knows_them(clip: OpenClipEmbedder) -> None:
    class Knows:
        """A text model that knows all words: a vector from the letters of a text."""

        space, dimension = "clip-letters", 32

        def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
            rows = [np.random.default_rng(sum(map(ord, text))).normal(size=32) for text in texts]
            return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    head = words.worded(Knows(), [Category.SEXUAL, Category.GORE])
    assert head.judged == {Category.SEXUAL, Category.GORE}
    first = Knows().embed_texts([words.WORDS[Category.GORE][0]])
    plain = Knows().embed_texts([words.ORDINARY[0]])
    gore = CATEGORIES.index(Category.GORE)
    assert head.logits(first)[0, gore] > 0 > head.logits(plain)[0, gore]
    with pytest.raises(ModelUnusable, match="does not know the words"):
        words.worded(clip, [Category.SEXUAL])  # the small CLIP knows a drawn world
    with pytest.raises(ModelUnusable, match="no words for political"):
        words.worded(Knows(), [Category.POLITICAL])


def test_the_head_of_another_clip_is_not_calibrated(
    data: Path, clip: OpenClipEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    torch.manual_seed(2)
    torch.save(Sequential(clip.dimension).state_dict(), tmp_path / "theirs.pth")
    from classifiers.unsafe.heads import dump

    other = converted(tmp_path / "theirs.pth", clip.space, clip.dimension, [HATTED])
    (tmp_path / "other.safetensors").write_bytes(dump(replace(other, space="clip-other")))
    arguments = ["--data", data, "--out", tmp_path / "home", "--head", tmp_path / "other.safetensors"]
    assert run(monkeypatch, *arguments) == 3
    assert "belongs to clip-other" in capsys.readouterr().err
