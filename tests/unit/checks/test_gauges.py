"""What a gauge takes for own, a stranger, a look-alike; with faces that are the mean colour of a picture."""

from collections.abc import Sequence

import numpy as np
import pytest

from classifiers.base import Picture, Sight
from classifiers.errors import TooFewScores
from classifiers.faces import Face, seen_faces
from classifiers.fitting import Target
from classifiers.thresholds import FACE_PORTRAIT
from pipeline.calibrating.drawn import DrawnMaterial
from pipeline.calibrating.gauges import Likeness, Portraits
from pipeline.calibrating.material import Group, Registered
from pipeline.calibrating.measure import Measured, Order, measure
from pipeline.calibrating.registered import Rows

BOX = (0.0, 0.0, 1.0, 1.0)
EVERYBODY = Target(strangers=0.5)


class MeanColours:
    """A face wherever a picture is not black; its vector is the colour."""

    space = "mean-face"

    def look(self, picture: Picture) -> Sequence[Face]:
        if not picture.any():
            return ()
        return (Face(box=BOX, vector=(picture.mean((0, 1)) / 255).astype(np.float32), certainty=1.0),)


def plain(red: int, green: int = 0) -> Picture:
    return np.full((8, 8, 3), (red, green, 0), np.uint8)


def seen(picture: Picture) -> Sight:
    return Sight(seen=(seen_faces(MeanColours.space, [(0.0, MeanColours().look(picture))]),))


def gauge(*, crossed: bool) -> Likeness:
    made = Likeness(Portraits(MeanColours()), MeanColours.space)
    subjects = [
        Registered(name="red", pictures=[plain(255)]),
        Registered(name="green", pictures=[plain(0, 255)]),
    ]
    made.register(Group(registered=subjects, crossed=crossed))
    return made


@pytest.mark.parametrize("crossed", [False, True])
def test_whose_score_counts(crossed: bool) -> None:
    faces = gauge(crossed=crossed)
    faces.show(seen(plain(200)), "red")
    faces.show(seen(plain(255, 51)), "red", alike=True)
    faces.show(seen(plain(255, 255)), None)
    found = faces.scores(EVERYBODY)[FACE_PORTRAIT]
    assert found.own == pytest.approx([-55 / 255], abs=1e-3)
    assert found.alike == pytest.approx([-0.2], abs=1e-3)
    other = [-np.hypot(200, 255) / 255] if crossed else []
    assert found.strangers == pytest.approx([*other, -1.0], abs=1e-3)


def test_what_shows_no_face_has_no_score() -> None:
    faces = gauge(crossed=False)
    faces.show(seen(plain(0)), "red")
    assert faces.scores(EVERYBODY)[FACE_PORTRAIT].own == []
    assert faces.faceless == 1


def test_what_was_seen_in_another_space_is_not_compared() -> None:
    faces = gauge(crossed=False)
    there = seen_faces("another-face", [(0.0, MeanColours().look(plain(255)))])
    faces.show(Sight(seen=(there,)), "red")
    assert faces.scores(EVERYBODY)[FACE_PORTRAIT].own == []
    both = (*seen(plain(200)).seen, there)
    faces.show(Sight(seen=both), "red")
    assert faces.scores(EVERYBODY)[FACE_PORTRAIT].own == pytest.approx([-55 / 255], abs=1e-3)


class Models:
    """Faces alone."""

    faces = MeanColours()


class Coloured:
    """Two persons, and somebody else."""

    told, ordinary = "colours", ()

    def __init__(self, shows: int) -> None:
        self._shows = shows

    def groups(self) -> list[Group]:
        class Show:
            def __init__(self, picture: Picture) -> None:
                self._picture = picture

            def seen(self, eyes: object) -> Sight:
                return seen(self._picture)

        own = [Show(plain(250 - 5 * at)) for at in range(self._shows)]
        others = [Show(plain(100, 100 + at)) for at in range(self._shows)]
        red = Registered(name="red", pictures=[plain(255)], shows=own)
        return [Group(registered=[red], shows=others)]

    def cohort(self) -> list[Picture]:
        return []


def test_a_calibration_of_faces() -> None:
    order = Order(
        kinds=[Measured.FACES], material=Coloured(20), target=Target(strangers=0.05), made={"command": "here"}
    )
    (made,) = measure(order, Models(), lambda _space: None, lambda _told: None)  # type: ignore[arg-type]
    assert (made.space, made.version, made.made["data"]) == ("mean-face", 1, "colours")
    layer, found = made.layer(FACE_PORTRAIT), made.reliability[FACE_PORTRAIT]
    assert -0.75 < layer.threshold < -0.7
    assert (found.own, found.found) == (20, 20)
    assert layer.probability(-0.1) > 0.9 > 0.1 > layer.probability(-0.7)


def test_too_few_are_refused() -> None:
    order = Order(kinds=[Measured.FACES], material=Coloured(9), target=Target(strangers=0.2), made={})
    with pytest.raises(TooFewScores, match="face_portrait has 9 examples of registered subjects"):
        measure(order, Models(), lambda _space: None, lambda _told: None)  # type: ignore[arg-type]


def test_rows_are_found_nearest_first_and_by_kind() -> None:
    rows = Rows()
    rows.add("a", "picture", "s", np.eye(3, dtype=np.float32)[:2])  # type: ignore[arg-type]
    rows.add("b", "portrait", "s", np.eye(3, dtype=np.float32)[:1])  # type: ignore[arg-type]
    rows.add("c", "picture", "s", np.zeros((0, 3), np.float32))  # type: ignore[arg-type]
    asked = np.array([[0.6, 0.8, 0.0]], np.float32)
    [near] = rows.search("s", ["picture"], asked, 5)
    assert [(match.subject, round(match.score, 3)) for match in near] == [("a", 0.8), ("a", 0.6)]
    [faces] = rows.search("s", ["portrait"], asked, 5)
    assert faces[0].score == pytest.approx(-np.hypot(0.4, 0.8), abs=1e-5)
    assert rows.search("other", ["picture"], asked, 5) == [[]]


def test_drawn_material_says_what_it_is() -> None:
    assert "nothing about production material" in DrawnMaterial(count=3).told
