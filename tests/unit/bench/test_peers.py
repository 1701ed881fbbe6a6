"""Peers: what they read, at what strength, and by which threshold a score is a detection."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # benchmarks are not installed

from benchmarks import peers
from benchmarks.attacks.footage import Footage, Frame
from benchmarks.tools.drawn_trials import write_clip
from benchmarks.trials import decision, material, peer_rows, quality
from benchmarks.trials.packaged import PACKAGED, versions
from benchmarks.trials.peers import bits_of, image_to_bgr
from benchmarks.trials.scheme import CannotMark, Marked, PeerMissing
from benchmarks.trials.schemes import KNOWN, SCHEMES, Countermark, UnknownScheme, scheme_of

NOT_HERE = "does not apply: the peer's package is no dependency of this project (docs/peers.md)"
ROOT = Path(__file__).resolve().parents[3]
IN_A_PROCESS = """
import multiprocessing, sys
multiprocessing.set_start_method("spawn")
import numpy as np
from benchmarks.trials.packaged import PACKAGED
method = PACKAGED[sys.argv[1]](None)
picture = np.random.default_rng(1).integers(0, 255, (256, 264, 3), dtype=np.uint8)
method.read(method.mark(picture, [0, 1] * (method.bits // 2)))
assert multiprocessing.get_start_method() == "spawn"
"""
WIDTH, HEIGHT, RATE = 352, 288, 12.0
MODULES = {
    "dwtDct": "imwatermark", "dwtDctSvd": "imwatermark", "rivaGan": "imwatermark",
    "blind-watermark": "blind_watermark",
}  # fmt: skip
REQUIRES = {
    name: pytest.mark.skipif(find_spec(module) is None or find_spec("pywt") is None, reason=NOT_HERE)
    for name, module in MODULES.items()
}
MEASURES = pytest.mark.skipif(not quality.can_measure(), reason="does not apply: no FFmpeg with VMAF")
INSTALLED = [pytest.param(name, marks=REQUIRES[name]) for name in PACKAGED]


def film(count: int = 3, width: int = WIDTH, height: int = HEIGHT) -> Footage:
    """Coloured texture under a moving camera."""
    random = np.random.default_rng(3)
    world = np.zeros((height + 2 * count, width + 2 * count, 3), np.float32)
    for scale in (4, 8, 16, 32):
        grid = random.standard_normal((world.shape[0] // scale + 2, world.shape[1] // scale + 2, 3))
        world += (
            cv2.resize(grid.astype(np.float32), world.shape[1::-1], interpolation=cv2.INTER_CUBIC) * scale
        )
    grey = np.clip(120 + 25 * world / world.std(), 0, 255).astype(np.uint8)

    def play() -> Iterator[Frame]:
        for index in range(count):
            cut = np.ascontiguousarray(grey[index : index + height, index : index + width])
            yield Frame(index / RATE, cv2.cvtColor(cut, cv2.COLOR_RGB2YUV_I420))

    return Footage(width=width, height=height, rate=RATE, seconds=count / RATE, play=play)


@pytest.mark.parametrize("name", INSTALLED)
def test_a_peer_reads_what_it_marked_and_nothing_elsewhere(name: str) -> None:
    scheme, plain = scheme_of(name, None), film(2)
    marked = scheme.embed(plain, 0).footage
    read = scheme.detect(marked.play(), 0)
    message = bits_of(scheme.payload(0), len(read.evidence))
    right = np.mean([(value > 0) == bool(bit) for value, bit in zip(read.evidence, message, strict=True)])
    assert right >= 0.75  # dwtDct reads some pictures badly that nobody touched
    assert read.score > 4.5
    assert scheme.detect(marked.play(), 1).score < 4
    assert scheme.detect(plain.play(), 0).score < 4


@pytest.mark.parametrize("name", INSTALLED)
def test_a_weaker_peer_changes_less(name: str) -> None:
    plain = film(1)

    def changed(strength: float) -> float:
        (before,), (after,) = plain.play(), scheme_of(name, strength).embed(plain, 0).footage.play()
        return float(np.mean(np.abs(after.image.astype(int) - before.image)))

    assert changed(0.5) < changed(1.0) < changed(2.0)


@pytest.mark.parametrize("name", INSTALLED)
def test_settings_are_in_the_fingerprint(name: str) -> None:
    assert scheme_of(name, 0.5).fingerprint() != scheme_of(name, None).fingerprint()
    assert scheme_of(name, None).fingerprint() == scheme_of(name, None).fingerprint()


@pytest.mark.parametrize("name", INSTALLED)
def test_a_peer_works_in_a_process_of_ours(name: str) -> None:
    """Where the start method of multiprocessing is set already; and it prints nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_A_PROCESS, name],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@REQUIRES["dwtDct"]
def test_pictures_that_a_peer_refuses_read_as_nothing() -> None:
    scheme, small = scheme_of("dwtDct", None), film(2, 160, 96)
    with pytest.raises(CannotMark, match="less than 65536 pixels"):
        scheme.embed(small, 0)
    read = scheme.detect(small.play(), 0)
    assert (read.payload, read.score, read.present) == (None, 0.0, False)
    with pytest.raises(CannotMark, match="no visible mark"):
        scheme.embed(film(2), 0, visible=True)


def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PeerMissing, match="not-a-package-of-ours is not installed; pip install"):
        versions("not-a-package-of-ours")
    with pytest.raises(UnknownScheme, match="choose from countermark, countermark-known, dwtDct"):
        scheme_of("nonsense", None)
    with pytest.raises(PeerMissing, match="videoseal=FOLDER"):
        scheme_of("videoseal", None)
    with pytest.raises(PeerMissing, match="no such folder"):
        scheme_of(f"trustmark={tmp_path / 'none'}", None)
    (tmp_path / "decoder_Q.onnx").touch()
    with pytest.raises(PeerMissing, match="one file encoder_Q"):
        scheme_of(f"trustmark={tmp_path}", None)


def _seal(folder: Path, bits: int = 256) -> None:
    """A TorchScript file of VideoSeal's form: block i of the picture is lifted or lowered for bit i."""
    torch = pytest.importorskip("torch", reason=NOT_HERE)

    class Tiny(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.side = int(bits**0.5)

        @torch.jit.export
        def embed(self, imgs: torch.Tensor, msgs: torch.Tensor) -> torch.Tensor:
            signs = (2 * msgs - 1).reshape(-1, 1, self.side, self.side)
            size = [imgs.shape[2], imgs.shape[3]]
            return imgs + 0.1 * torch.nn.functional.interpolate(signs, size=size, mode="nearest")

        @torch.jit.export
        def detect(self, imgs: torch.Tensor) -> torch.Tensor:
            blocks = torch.nn.functional.adaptive_avg_pool2d(imgs.mean(1, keepdim=True), self.side)
            flat = (blocks - 0.5).flatten(1)
            return torch.cat([torch.ones_like(flat[:, :1]), flat], dim=1)

        def forward(self, imgs: torch.Tensor, msgs: torch.Tensor) -> torch.Tensor:
            return self.embed(imgs, msgs)

    torch.jit.script(Tiny()).save(str(folder / "tiny.jit"))


def grey(width: int = 320, height: int = 256) -> Footage:
    image = np.full((height * 3 // 2, width), 128, np.uint8)
    return Footage(
        width=width, height=height, rate=RATE, seconds=2 / RATE,
        play=lambda: iter([Frame(0.0, image), Frame(1 / RATE, image)]),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_videoseal_is_read_from_a_torchscript_file(tmp_path: Path) -> None:
    _seal(tmp_path)
    scheme, plain = scheme_of(f"videoseal={tmp_path}", None), grey()
    read = scheme.detect(scheme.embed(plain, 0).footage.play(), 0)
    assert read.payload == scheme.payload(0)
    assert read.score == pytest.approx(16, abs=0.5)  # the root of 256 bits
    weak = scheme_of(f"videoseal={tmp_path}", 0.25)
    (first, _), (full, _) = weak.embed(plain, 0).footage.play(), scheme.embed(plain, 0).footage.play()
    assert np.ptp(first.luma.astype(int)) < np.ptp(full.luma.astype(int)) / 2
    assert weak.fingerprint() != scheme.fingerprint()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_a_torchscript_file_of_other_bits_is_refused(tmp_path: Path) -> None:
    _seal(tmp_path, bits=64)
    with pytest.raises(PeerMissing, match="reads 64 bits"):
        scheme_of(f"videoseal={tmp_path}", None).detect(grey().play(), 0)


def _trust(folder: Path, variant: str) -> None:
    """ONNX files of TrustMark's form: a matrix spreads the bits over the picture, another reads them."""
    onnx = pytest.importorskip("onnx", reason=NOT_HERE)
    side = 224 if variant == "P" else 256
    spreading = np.kron(np.eye(100).reshape(100, 10, 10), np.ones((26, 26)))[:, :256, :256]
    make, numpy = onnx.helper, onnx.numpy_helper
    kinds = onnx.TensorProto

    def save(name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], held: list[Any]) -> None:
        graph = make.make_graph(nodes, name, inputs, outputs, held)
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, str(folder / f"{name}_{variant}.onnx"))

    def held(name: str, values: Any) -> Any:
        return numpy.from_array(np.asarray(values), name)

    picture = make.make_tensor_value_info("onnx::Concat_0", kinds.FLOAT, [1, 3, 256, 256])
    secret = make.make_tensor_value_info("onnx::Gemm_1", kinds.FLOAT, [1, 100])
    wide = spreading.reshape(100, -1).astype(np.float32)
    save(
        "encoder",
        [
            make.make_node("Mul", ["onnx::Gemm_1", "two"], ["doubled"]),
            make.make_node("Sub", ["doubled", "one"], ["signs"]),
            make.make_node("MatMul", ["signs", "wide"], ["flat"]),
            make.make_node("Reshape", ["flat", "shape"], ["plane"]),
            make.make_node("Add", ["onnx::Concat_0", "plane"], ["image"]),
        ],
        [picture, secret], [make.make_tensor_value_info("image", kinds.FLOAT, [1, 3, 256, 256])],
        [held("two", np.float32(2)), held("one", np.float32(1)), held("wide", 0.1 * wide),
         held("shape", np.array([1, 1, 256, 256]))],
    )  # fmt: skip
    small = np.stack([cv2.resize(plane, (side, side)) for plane in spreading]).reshape(100, -1).T
    save(
        "decoder",
        [
            make.make_node("ReduceMean", ["image"], ["grey"], axes=[1], keepdims=0),
            make.make_node("Reshape", ["grey", "shape"], ["flat"]),
            make.make_node("MatMul", ["flat", "narrow"], ["output"]),
        ],
        [make.make_tensor_value_info("image", kinds.FLOAT, [1, 3, side, side])],
        [make.make_tensor_value_info("output", kinds.FLOAT, [1, 100])],
        [held("shape", np.array([1, side * side])), held("narrow", small.astype(np.float32))],
    )


@pytest.mark.parametrize(
    ("variant", "width"), [("Q", 320), ("Q", 640), ("P", 320)], ids=["whole", "long", "square"]
)
def test_trustmark_is_read_from_its_onnx_files(variant: str, width: int, tmp_path: Path) -> None:
    _trust(tmp_path, variant)
    scheme, plain = scheme_of(f"trustmark={tmp_path}", None), grey(width, 256)
    marked = scheme.embed(plain, 0).footage
    read = scheme.detect(marked.play(), 0)
    assert read.payload == scheme.payload(0)
    (first, _) = marked.play()
    untouched = first.luma[:, 0]
    if variant == "P" or width > 2 * 256:  # only the square in the middle
        assert np.all(untouched == 128)
    else:
        assert not np.all(untouched == 128)


@pytest.fixture
def plan(tmp_path: Path) -> peers.Plan:
    """One clip of eight frames, one attack, one peer."""
    pictures = (np.ascontiguousarray(image_to_bgr(frame.image)[..., ::-1]) for frame in film(8).play())
    write_clip(pictures, tmp_path / "clip.mp4", RATE, 12)
    return peers.Plan(
        schemes=(KNOWN, "dwtDct"), long=(), attacks=("none",), keys=1, jobs=1, deadline=None,
        sources=tuple(material.real([tmp_path / "clip.mp4"])), store=tmp_path / "cells",
    )  # fmt: skip


@MEASURES
def test_a_peer_that_fails_is_told_and_ends_nothing(
    plan: peers.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Countermark):
        def embed(self, *_arguments: Any, **_named: Any) -> Marked:
            raise RuntimeError("the marker fell over")

    monkeypatch.setitem(SCHEMES, "broken", lambda _strength, _weights: Broken())
    heard, failed, _ = peers.compare(replace(plan, schemes=(KNOWN, "broken")))
    assert len(failed) == 1
    assert failed[0].startswith("broken, price of clip.mp4 480p24")
    assert "the marker fell over" in failed[0]
    ours, broken = heard
    assert len(ours.cells) == 2
    assert not broken.cells
    assert peer_rows.rows(heard)


@REQUIRES["dwtDct"]
@MEASURES
def test_a_comparison_from_clip_to_table(plan: peers.Plan) -> None:
    heard, failed, left = peers.compare(plan)
    assert (failed, left) == ([], 0)
    found = peer_rows.rows(heard)
    detected = {
        (row.conditions["scheme"], row.conditions["from"]): row.value
        for row in found
        if row.metric == peer_rows.DETECTED and row.conditions["false positives"] == 1e-6
    }
    assert detected["dwtDct", decision.TAIL] == 1
    assert ("countermark", decision.PROVED) in detected
    assert {row.conditions["material"] for row in found if "material" in row.conditions} == {"real"}
    kept = {file: file.stat().st_mtime_ns for file in plan.store.rglob("*.json")}
    again, _, _ = peers.compare(plan)
    assert {file: file.stat().st_mtime_ns for file in plan.store.rglob("*.json")} == kept
    assert peer_rows.rows(again) == found


def test_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for names, told in ((["nonsense"], "no scheme 'nonsense'"), (["videoseal"], "videoseal=FOLDER")):
        monkeypatch.setattr(
            sys, "argv", ["peers", "--rendered", "0", "--cells", str(tmp_path), "--peers", *names]
        )
        assert peers.main() == 2
        assert told in capsys.readouterr().err
