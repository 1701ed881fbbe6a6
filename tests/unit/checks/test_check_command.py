"""`countermark check` on a home with real opt-outs: a character from the drawn world, a portrait."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from generator.embedded.world.design import NAMED_DESIGNS
from generator.embedded.world.render import render_clip, render_frame
from generator.embedded.world.scene import Scene, random_scene
from pipeline.cli.main import app

pytest.importorskip("dlib")
data = pytest.importorskip("skimage.data")

HERO, STRANGER = NAMED_DESIGNS["Tovik Brandle"], NAMED_DESIGNS["Mossa Pondry"]


def write_rgb(path: Path, frames: Iterator[Any], rate: int = 8) -> Path:
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate, {"crf": "20"})
        for number, picture in enumerate(frames):
            if number == 0:
                track.height, track.width = picture.shape[:2]
            out.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(track.encode(None))
    return path


def drawn(path: Path, design: Any, **changes: Any) -> Path:
    scene = replace(Scene(action="walking", background="forest", size=0.7), **changes)
    return write_rgb(path, render_clip(design, scene, width=320, height=180, frames=10, frame_rate=5))


def moved_portrait() -> Iterator[Any]:
    head = cv2.resize(data.astronaut()[0:240, 110:340], (160, 168), interpolation=cv2.INTER_AREA)
    for index in range(8):
        canvas = np.full((240, 426, 3), 90, np.uint8)
        canvas[40:208, 20 + 20 * index : 180 + 20 * index] = head
        yield (canvas * 0.8).astype(np.uint8)


@pytest.fixture(scope="module", name="home")
def home_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the character and the portrait opted out."""
    folder = tmp_path_factory.mktemp("opted-out")
    rng = np.random.default_rng(4)
    pictures = []
    for number in range(6):
        shown = render_frame(HERO, random_scene(rng), width=256, height=256, time=number / 3).picture
        pictures.append(f"hero-{number}.png")
        cv2.imwrite(str(folder / pictures[-1]), cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(folder / "face.png"), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    lines = [
        {"kind": "character", "name": "Tovik Brandle", "owner": "Brandle Works", "references": pictures},
        {"kind": "person", "name": "Ada Collins-Merrow", "owner": "herself", "references": ["face.png"]},
    ]
    source = folder / "optouts.ndjson"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    home = folder / "home"
    done = CliRunner().invoke(app, ["optout", "add", "--from", str(source), "--home", str(home)])
    assert done.exit_code == 0, done.output
    return home


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(name="run")
def run_fixture(home: Path) -> Run:
    def run(path: Path, status: int | None = None) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(app, ["check", str(path), "--home", str(home), "--json"])
        assert status is None or done.exit_code == status, done.output
        return done.exit_code, json.loads(done.stdout)

    return run


def test_a_registered_character_is_found(run: Run, tmp_path: Path) -> None:
    _, told = run(drawn(tmp_path / "hero.mp4", HERO), 1)
    (finding,) = told["findings"]
    assert told["verdict"] == "review"
    assert (finding["check"], finding["kind"], finding["name"]) == ("frames", "character", "Tovik Brandle")
    assert finding["score"] >= finding["threshold"] > 0
    assert 0.5 < finding["probability"] <= 1
    assert len(finding["times"]) == len(finding["boxes"]) > 0
    assert told["checks"]["likeness"]["state"] == "completed"
    assert told["registry_seq"] == 2


def test_a_face_is_found(run: Run, tmp_path: Path) -> None:
    _, told = run(write_rgb(tmp_path / "face.mp4", moved_portrait()), 1)
    (finding,) = told["findings"]
    assert (finding["check"], finding["kind"], finding["owner"]) == ("likeness", "person", "herself")
    assert told["verdict"] == "review"


def test_a_name_that_stands_in_a_clip_is_found(run: Run, tmp_path: Path) -> None:
    page = np.full((240, 426, 3), 90, np.uint8)
    cv2.putText(page, "TOVIK  BRANDLE", (60, 130), cv2.FONT_HERSHEY_SIMPLEX, 1, (240, 240, 240), 2)
    plain = np.full((240, 426, 3), 90, np.uint8)
    _, told = run(write_rgb(tmp_path / "title.mp4", iter([plain] * 8 + [page] * 8)), 1)
    (finding,) = told["findings"]
    assert (finding["check"], finding["code"], finding["kind"]) == ("words", "words_match", "character")
    assert finding["quote"].replace(" ", "") == "TOVIKBRANDLE"
    assert finding["times"][0] >= 1.0
    left, top, right, bottom = finding["boxes"][0]
    assert (left < 0.2, 0.3 < top < 0.5, 0.6 < right < 0.9, 0.5 < bottom < 0.65) == (True,) * 4
    assert told["verdict"] == "review"


def test_a_stranger_passes(run: Run, tmp_path: Path) -> None:
    _, told = run(drawn(tmp_path / "stranger.mp4", STRANGER, background="room"), 0)
    assert (told["verdict"], told["findings"]) == ("allow", [])
    assert told["checks"]["frames"]["scores"]
    assert told["checks"]["unsafe_frames"]["state"] == "not_checked"  # no model for it ships, and none is set


def test_a_folder_of_pictures(run: Run, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes((home.parent / "hero-0.png").read_bytes())
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff nonsense")
    _, told = run(folder, 3)
    assert [finding["file"] for finding in told["findings"]] == ["a.png"]
    assert [failed["file"] for failed in told["failed"]] == ["b.jpg"]
    assert "b.jpg" in told["failed"][0]["message"]
    assert told["verdict"] == "review"


@pytest.mark.parametrize(("name", "content", "status"), [("a.mp4", b"no clip", 3), ("none.mp4", None, 3)])
def test_what_cannot_be_read(
    home: Path, tmp_path: Path, name: str, content: bytes | None, status: int
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = CliRunner().invoke(app, ["check", str(path), "--home", str(home), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (3, "media_unreadable")


def test_an_empty_folder_and_a_home_without_a_registry(home: Path, tmp_path: Path) -> None:
    empty = CliRunner().invoke(app, ["check", str(tmp_path), "--home", str(home), "--json"])
    assert (empty.exit_code, json.loads(empty.stdout)["error"]["code"]) == (2, "usage")
    lost = CliRunner().invoke(app, ["check", str(tmp_path), "--home", str(tmp_path / "new"), "--json"])
    assert (lost.exit_code, json.loads(lost.stdout)["error"]["code"]) == (3, "home_unusable")
    assert not (tmp_path / "new").exists()
