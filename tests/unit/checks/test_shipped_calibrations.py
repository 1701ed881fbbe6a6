"""The models that ship come with their calibrations; a calibration of old weights does not stay behind."""

from pathlib import Path

import pytest

from classifiers import thresholds
from classifiers.similarity import Scoring
from classifiers.thresholds import FACE_PORTRAIT, FRAME_PICTURE, PROMPT_DESCRIPTION, PROMPT_PICTURE, load

FOLDER = Path(thresholds.__file__).parent / "calibrations"


def test_the_embedded_clip() -> None:
    pytest.importorskip("torch")
    from classifiers.embed import OpenClipEmbedder

    clip = OpenClipEmbedder()
    calibration = load(clip.space)
    assert {FRAME_PICTURE, PROMPT_PICTURE, PROMPT_DESCRIPTION} <= set(calibration.layers)
    assert calibration.cohort.shape[1] == clip.dimension
    assert Scoring.of(calibration).cohort_weight > 0
    assert [path.stem for path in FOLDER.glob("clip-*.json")] == [clip.space]


def test_faces() -> None:
    pytest.importorskip("dlib")
    from classifiers.drawn import spaces_of
    from classifiers.faces_dlib import DlibFaces

    plain, drawn = spaces_of(DlibFaces().space)
    assert -0.55 <= load(plain).layer(FACE_PORTRAIT).threshold <= -0.4  # dlib's own is 0.6
    assert load(drawn).layer(FACE_PORTRAIT).threshold > -1.0
    assert {path.stem for path in FOLDER.glob("dlib-face-*.json")} == {plain, drawn}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_no_file_says_where_it_was_made(path: Path) -> None:
    text = path.read_text()
    assert not any(folder in text for folder in ("/home/", "/root/", "/work/", "/tmp/"))
