"""YuNet and SFace by folder: with tiny models of the same inputs and outputs, made here.

The tiny detector takes a magenta square of 32 pixels for a face, the tiny recogniser tells faces apart by
their colours in 49 places. Neither says anything about what the real weights find.
"""

import hashlib
import math
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from classifiers.base import Kind, Picture, Sight
from classifiers.errors import CalibrationMissing, ModelUnusable, TooManyFaces
from classifiers.faces import FaceLimits, check_faces, seen_faces
from classifiers.faces_onnx import OnnxFaces
from classifiers.thresholds import FACE_PORTRAIT, Calibration, Layer, dump, file_name
from pipeline.eyes import CALIBRATIONS, Eyes
from pipeline.settings import Settings

onnx = pytest.importorskip("onnx")

CELL = 32  # the largest of YuNet's three strides
PARTS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
POINTS = ((0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.35, 0.75), (0.65, 0.75))
MAGENTA = (200, 30, 220)


def detector() -> bytes:
    """YuNet's twelve outputs; only the coarsest stride finds anything: cells with more red than green."""
    nodes, weights = [], []

    def constant(name: str, value: object, kind: type = np.int64) -> str:
        weights.append(onnx.numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    for stride in (8, 16, CELL):
        kernel = np.zeros((16, 3, stride, stride), np.float32)
        kernel[0, 2], kernel[0, 1] = 0.2 / stride**2, -0.2 / stride**2  # blue, green, red
        bias = [-20.0 if stride == CELL else -60.0, 20.0, 0.5, 0.5, math.log(CELL / stride)]
        bias += [math.log(CELL / stride), *(side for point in POINTS for side in point)]
        conv = constant(f"k{stride}", kernel, np.float32), constant(f"b{stride}", bias, np.float32)
        nodes += [
            onnx.helper.make_node("Conv", ["input", *conv], [f"c{stride}"], strides=[stride, stride]),
            onnx.helper.make_node("Transpose", [f"c{stride}"], [f"t{stride}"], perm=[0, 2, 3, 1]),
            onnx.helper.make_node(
                "Reshape", [f"t{stride}", constant(f"s{stride}", [1, -1, 16])], [f"r{stride}"]
            ),
        ]
        first = 0
        for part, width in PARTS.items():
            name = f"{part}_{stride}"
            cut = [constant(f"{name}_{i}", [at]) for i, at in enumerate((first, first + width, 2))]
            made = f"{name}_raw" if width == 1 else name
            nodes.append(onnx.helper.make_node("Slice", [f"r{stride}", *cut], [made]))
            if width == 1:
                nodes.append(onnx.helper.make_node("Sigmoid", [made], [name]))
            first += width
    outputs = [(f"{part}_{stride}", [1, None, PARTS[part]]) for part in PARTS for stride in (8, 16, CELL)]
    return model(nodes, ("input", [1, 3, None, None]), outputs, weights)


def recogniser(dimension: int = 128, seed: int = 0, scale: float = 1.0) -> bytes:
    """112 × 112 pixels to a vector."""
    rng = np.random.default_rng(seed)
    table = (scale * rng.normal(size=(3 * 49, dimension))).astype(np.float32)
    nodes = [
        onnx.helper.make_node("AveragePool", ["data"], ["p"], kernel_shape=[16, 16], strides=[16, 16]),
        onnx.helper.make_node("Flatten", ["p"], ["f"]),
        onnx.helper.make_node("Gemm", ["f", "w"], ["fc1"]),
    ]
    weights = [onnx.numpy_helper.from_array(table, "w")]
    return model(nodes, ("data", [1, 3, 112, 112]), [("fc1", [1, dimension])], weights)


def model(
    nodes: Iterable[object], taken: tuple[str, list[int | None]],
    given: Iterable[tuple[str, list[int | None]]], weights: Iterable[object],
) -> bytes:  # fmt: skip
    def told(name: str, shape: list[int | None]) -> object:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = onnx.helper.make_graph(
        list(nodes), "tiny", [told(*taken)], [told(*one) for one in given], list(weights)
    )
    opset = [onnx.helper.make_opsetid("", 13)]
    made = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


@cache
def files() -> dict[str, bytes]:
    return {"face_detection_tiny.onnx": detector(), "face_recognition_tiny.onnx": recogniser()}


def folder_of(path: Path, **changed: bytes) -> Path:
    path.mkdir(exist_ok=True)
    for name, data in files().items():
        (path / name).write_bytes(changed.get(name.split("_")[1], data))
    return path


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> OnnxFaces:
    return OnnxFaces(folder_of(tmp_path_factory.mktemp("models") / "tiny"))


def face(seed: int) -> Picture:
    """A magenta square with somebody's own pattern in it."""
    rng = np.random.default_rng(seed)
    pattern = np.repeat(np.repeat(rng.integers(-30, 31, (4, 4, 3)), 8, axis=0), 8, axis=1)
    return np.clip(np.array(MAGENTA) + pattern, 0, 255).astype(np.uint8)


def scene(*placed: tuple[int, int, int], size: tuple[int, int] = (240, 320)) -> Picture:
    """Grey, with the face of each (seed, row, column) there."""
    picture = np.full((*size, 3), 90, np.uint8)
    for seed, row, column in placed:
        picture[row : row + CELL, column : column + CELL] = face(seed)
    return picture


def test_faces_are_found_where_they_are(finder: OnnxFaces) -> None:
    one, other = sorted(finder.look(scene((1, 64, 96), (2, 128, 224))), key=lambda found: found.box)
    assert np.allclose(one.box, (96 / 320, 64 / 240, 128 / 320, 96 / 240), atol=0.005)
    assert np.allclose(other.box[:2], (224 / 320, 128 / 240), atol=0.005)
    for found in (one, other):
        assert found.vector.shape == (finder.dimension,) == (128,)
        assert abs(float(np.linalg.norm(found.vector)) - 1) < 1e-5
        assert found.certainty > 0.6
    assert finder.look(scene()) == ()


class Portraits:
    """References: one portrait of each person."""

    seq, names = 1, ()

    def __init__(self, finder: OnnxFaces, **seeds: int) -> None:
        self._known = {name: finder.look(scene((seed, 96, 96)))[0].vector for name, seed in seeds.items()}

    def search(self, space, kinds, vectors, neighbours):  # type: ignore[no-untyped-def]
        return [sorted(map(partial_row(vector), self._known.items()), key=lambda one: -one.score)
                for vector in vectors]  # fmt: skip


class Row:
    """A match."""

    reference, kind, polarity, quarantined = "r", "portrait", 1, False

    def __init__(self, subject: str, score: float) -> None:
        self.subject, self.score = subject, score


def partial_row(vector):  # type: ignore[no-untyped-def]
    return lambda item: Row(item[0], -float(np.linalg.norm(vector - item[1])))


def test_who_it_is(finder: OnnxFaces) -> None:
    looks = [(0.5, finder.look(scene((1, 64, 96)))), (1.0, finder.look(scene((1, 160, 32))))]
    seen = seen_faces(finder.space, looks)
    known = {finder.space: calibration(finder.space)}
    report = check_faces(Sight(seen=(seen,)), Portraits(finder, her=1, him=2), known)
    (finding,) = report.findings
    assert (finding.subject, finding.times) == ("her", (0.5, 1.0))


def calibration(space: str) -> Calibration:
    layer = Layer(threshold=-0.05, slope=40.0, intercept=2.0)
    return Calibration(space=space, version=1, made={"command": "a test"}, layers={FACE_PORTRAIT: layer})


def test_nobody_has_calibrated_other_weights(tmp_path: Path) -> None:
    models = folder_of(tmp_path / "tiny")
    eyes = Eyes("embedded", None, tmp_path, face_model=str(models))
    with pytest.raises(CalibrationMissing, match=r"make one with countermark calibrate --kind faces"):
        eyes.calibrations.demand(eyes.faces.space)
    (tmp_path / CALIBRATIONS).mkdir()
    (tmp_path / CALIBRATIONS / file_name(eyes.faces.space)).write_bytes(dump(calibration(eyes.faces.space)))
    assert eyes.calibrations.demand(eyes.faces.space).layer(FACE_PORTRAIT).threshold == -0.05
    assert eyes.faces is eyes.faces


def test_the_settings_name_the_folder_and_its_digests(tmp_path: Path) -> None:
    models = folder_of(tmp_path / "tiny")
    right = [hashlib.sha256(data).hexdigest() for data in files().values()]
    named = Settings(
        home=tmp_path, face_model=str(models), face_detector_sha256=right[0], face_recogniser_sha256=right[1]
    )
    assert Eyes.of(named).faces.space == OnnxFaces(models).space
    with pytest.raises(ModelUnusable, match="face_detection_tiny"):
        _ = Eyes.of(named.model_copy(update={"face_detector_sha256": right[1]})).faces
    with pytest.raises(ModelUnusable, match="face_model names a folder"):
        _ = Eyes.of(Settings(home=tmp_path, face_model=str(tmp_path / "nothing"))).faces
    assert Eyes.of(Settings(home=tmp_path)).faces.space.startswith("dlib-face-")


def test_the_space_is_that_of_the_weights(finder: OnnxFaces, tmp_path: Path) -> None:
    assert OnnxFaces(folder_of(tmp_path / "again")).space == finder.space
    other = OnnxFaces(folder_of(tmp_path / "other", recognition=recogniser(seed=1)))
    assert other.space != finder.space
    assert other.space.startswith("opencv-face-")


def test_vectors_of_another_length(tmp_path: Path) -> None:
    short = OnnxFaces(folder_of(tmp_path / "short", recognition=recogniser(dimension=48)))
    assert short.dimension == 48
    seen = seen_faces(short.space, [(0.0, short.look(scene((1, 0, 0))))])
    assert (seen.kind, seen.vectors.shape) == (Kind.FACE, (1, 48))


def test_digests(tmp_path: Path) -> None:
    models = folder_of(tmp_path / "tiny")
    right = tuple(hashlib.sha256(data).hexdigest() for data in files().values())
    assert OnnxFaces(models, (right[0], right[1])).dimension == 128
    assert OnnxFaces(models, ("", right[1].upper())).dimension == 128
    for wrong in ((right[1], ""), ("", right[0])):
        with pytest.raises(ModelUnusable, match="does not have the digest that the settings name"):
            OnnxFaces(models, wrong)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"detection": b""}, "are not YuNet and SFace"),
        ({"recognition": b"words"}, "are not YuNet and SFace"),
        ({"detection": recogniser()}, "are not YuNet and SFace"),
        ({"recognition": detector()}, "are not YuNet and SFace"),
        ({"recognition": recogniser(scale=0.0)}, "are not YuNet and SFace"),
        ({"recognition": recogniser(scale=math.nan)}, "are not YuNet and SFace"),
        ({"detection": detector()[:9000]}, "are not YuNet and SFace"),
    ],
    ids=["empty", "words", "no detector", "no recogniser", "zeros", "no numbers", "cut off"],
)
def test_what_is_no_such_model(tmp_path: Path, changed: dict[str, bytes], why: str) -> None:
    with pytest.raises(ModelUnusable, match=why):
        OnnxFaces(folder_of(tmp_path / "bad", **changed))


def test_a_folder_without_the_files_or_with_too_many(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"has no file called face_detection_\*\.onnx"):
        OnnxFaces(tmp_path / "nowhere")
    models = folder_of(tmp_path / "tiny")
    (models / "face_recognition_int8.onnx").write_bytes(recogniser())
    with pytest.raises(ModelUnusable, match="has 2 files called face_recognition"):
        OnnxFaces(models)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (31, 40, 3), (40, 33, 3), (1000, 32, 3)])
def test_pictures_of_any_size(finder: OnnxFaces, shape: tuple[int, int, int]) -> None:
    assert finder.look(np.zeros(shape, np.uint8)) == ()


def test_a_picture_full_of_faces_costs_no_more_than_the_limits(tmp_path: Path) -> None:
    few = OnnxFaces(folder_of(tmp_path / "tiny"), limits=FaceLimits(pixels=256 * 256, faces=3))
    crowd = np.tile(face(1), (60, 60, 1))
    begun = time.process_time()
    with pytest.raises(TooManyFaces, match="faces; 3 are compared"):
        few.look(crowd)
    assert time.process_time() - begun < 1.0


def test_a_crowd_is_looked_at_whole(finder: OnnxFaces) -> None:
    rows = [(row, column) for row in range(0, 480, 64) for column in range(0, 512, 64)]
    assert len(finder.look(scene(*((1, *place) for place in rows[:60]), size=(480, 640)))) == 60
