"""The desk: what is registered is whole, proven, and undone as a whole when anything is wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk_builders import NOW, PUBLIC, SmallEyes, desk_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_builders import drawing, saved

from classifiers.base import Picture
from classifiers.drawn import FILTERS, spaces_of
from classifiers.errors import NameRefused
from classifiers.faces import Face
from classifiers.faces_dlib import DlibFaces
from pipeline.errors import ImportRefused, PictureRefused
from pipeline.optouts import looking
from pipeline.optouts.desk import Desk
from pipeline.optouts.order import parse_order
from pipeline.pictures.types import PictureFile, ReadPicture
from registry import log, merkle, optouts
from registry.checkpoint import parse_note
from registry.db import read
from registry.errors import NotFound, OptOutInvalid
from registry.subject_types import SubjectRecord

FOX: dict[str, Any] = {
    "name": "Zorblax the Brave", "aliases": ["Zorblax"], "names": {"ja": ["ゾーブラックス"]},
    "owner": "Studio Example", "description": "a purple fox", "attributes": ["three tails", "a torn ear"],
}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = desk_in(tmp_path)
    yield made
    made.engine.dispose()


def head(desk: Desk) -> int:
    with read(desk.engine) as conn:
        return log.head(conn)


def picture(name: str, seed: int = 0) -> PictureFile:
    return PictureFile(name=name, data=saved(drawing(seed)))


def reds(name: str, *widths: int) -> PictureFile:
    """A picture with a red part of each width."""
    rgb = drawing(3, 400, 200) // 2
    start = 10
    for width in widths:
        rgb[50:150, start : start + width] = (255, 0, 0)
        start += width + 20
    return PictureFile(name=name, data=saved(rgb))


def kinds(record: SubjectRecord) -> list[tuple[str, str, int]]:
    return sorted((row.space, row.kind, row.polarity) for row in record.vectors)


def test_a_receipt_says_since_when_and_proves_it(desk: Desk) -> None:
    made = desk.register(parse_order(FOX), [picture("a"), picture("b", 1)], [picture("c", 2)])
    assert (made.sequence, made.at, made.new, made.notes) == (1, NOW, True, ())
    document = json.loads(json.dumps(made.to_json()))
    proof = document["receipt"]["proof"]
    entry = document["receipt"]["entry"].encode()
    note = parse_note(document["receipt"]["checkpoint"])
    path = [bytes.fromhex(node) for node in proof["path"]]
    merkle.verify_inclusion(merkle.leaf_hash(entry), proof["sequence"] - 1, note.size, path, note.root)
    assert json.loads(entry)["public"]["subject"] == made.id
    assert PUBLIC
    assert "Zorblax" not in entry.decode()


def test_everything_of_an_order_is_registered(desk: Desk) -> None:
    made = desk.register(parse_order(FOX), [picture("a"), picture("b", 1)], [picture("c", 2)])
    record = desk.show(made.id)
    assert [(one.text, one.kind, one.language, one.tier) for one in record.names] == [
        ("Zorblax the Brave", "official", "", "block"), ("Zorblax", "alias", "", "block"),
        ("ゾーブラックス", "native", "ja", "block"),
    ]  # fmt: skip
    pictures = [("colours-1", "picture", -1), ("colours-1", "picture", 1), ("colours-1", "picture", 1)]
    assert [kind for kind in kinds(record) if kind[1] == "picture"] == pictures
    texts = {(space, kind) for space, kind, _ in kinds(record)} - {("colours-1", "picture")}
    assert {("colours-1", "description"), ("letters-1", "description"), ("letters-1", "attribute")} <= texts
    assert [(one.name, one.polarity) for one in desk.pictures(made.id)] == [("a", 1), ("b", 1), ("c", -1)]
    for row in record.vectors:
        values = np.frombuffer(row.vector, "<f2").astype(np.float32)
        assert abs(float(np.linalg.norm(values)) - 1) < 0.01


def test_the_same_again_changes_nothing(desk: Desk) -> None:
    first = desk.register(parse_order(FOX), [picture("a")])
    again = desk.register(parse_order(FOX), [picture("a")])
    assert (again.id, again.sequence, again.new) == (first.id, first.sequence, False)


def test_the_same_picture_twice_counts_once_and_never_as_both(desk: Desk) -> None:
    made = desk.register(parse_order(FOX), [picture("a"), picture("copy")])
    assert made.notes == ("copy: the same picture as a; one is kept",)
    with pytest.raises(PictureRefused, match="cannot be both"):
        desk.register(parse_order(FOX), [picture("a")], [picture("copy")])


def test_common_names_need_words_near_them(desk: Desk) -> None:
    with pytest.raises(NameRefused, match="context"):
        desk.register(parse_order({"name": "Up"}))
    made = desk.register(parse_order({"name": "Up", "context": ["balloon house"]}))
    [name] = desk.show(made.id).names
    assert (name.tier, name.context) == ("context", ("balloon house",))


def test_nothing_is_written_when_anything_is_wrong(desk: Desk) -> None:
    bad = PictureFile(name="bad", data=b"words")
    for pictures, order in (
        ([picture("a"), bad], FOX), ([picture("a")], {"name": "Zorblax", "aliases": ["Up"]}),
        ([picture("a")], FOX | {"kind": "person"}),
    ):  # fmt: skip
        with pytest.raises((PictureRefused, NameRefused)):
            desk.register(parse_order(order), pictures)
    assert head(desk) == 0


def test_of_a_person_only_faces_are_kept(desk: Desk) -> None:
    order = parse_order({"name": "Jane Q. Sample", "kind": "person"})
    files = [reds("one", 80), reds("small one behind", 80, 20), reds("two", 60, 50), reds("none")]
    made = desk.register(order, files, [reds("a double", 90)])
    record = desk.show(made.id)
    assert kinds(record) == [("red-1", "portrait", -1), ("red-1", "portrait", 1), ("red-1", "portrait", 1)]
    assert [one.name for one in desk.pictures(made.id)] == ["one", "small one behind", "a double"]
    assert [note.split(":")[0] for note in made.notes] == ["two", "none"]
    assert "2 faces" in made.notes[0]


def test_what_may_be_a_face_is_no_portrait() -> None:
    def seen(certainty: float, right: float = 0.5) -> Face:
        return Face(box=(0.0, 0.0, right, 0.5), vector=np.ones(4, np.float32), certainty=certainty)

    class Doubtful:
        space = "doubtful-1"
        faces: tuple[Face, ...] = ()

        def look(self, _picture: Picture) -> tuple[Face, ...]:
            return self.faces

    class Eyes(SmallEyes):
        faces = Doubtful()

    shown = [ReadPicture(name="one", sha256="ab" * 32, width=400, height=200, rgb=drawing(3, 400, 200))]
    for found, note in (
        ((), "no face"), ((seen(-0.1),), "no face"), ((seen(-0.1), seen(-0.3, 0.4)), "no face"),
        ((seen(1.0, 0.05),), "the face is too small: 20 px; needs 40"), ((seen(0.5), seen(-0.3)), ""),
        ((seen(0.0),), ""),
    ):  # fmt: skip
        Eyes.faces.faces = found
        [one] = looking.see(shown, "person", Eyes())
        assert one.note.removeprefix("one: ").startswith(note)
        assert bool(one.vectors) is (not note)


def test_a_person_needs_a_face_in_one_picture(desk: Desk) -> None:
    order = parse_order({"name": "Jane Q. Sample", "kind": "person"})
    with pytest.raises(PictureRefused, match="no face was found"):
        desk.register(order, [reds("none")])
    assert desk.register(order).new  # a name alone is enough


def test_a_real_face_is_found_and_a_landscape_has_none(tmp_path: Path) -> None:
    data = pytest.importorskip("skimage.data")

    class RealFaces(SmallEyes):
        faces = DlibFaces()

    desk = desk_in(tmp_path)
    real = Desk(engine=desk.engine, eyes=RealFaces(), signer=desk.signer, clock=desk.clock)
    portrait = PictureFile(name="portrait", data=saved(data.astronaut(), "JPEG", quality=90))
    made = real.register(
        parse_order({"name": "Eileen Collins", "kind": "person"}), [portrait, picture("landscape")]
    )
    plain, *drawn = sorted(real.show(made.id).vectors, key=lambda row: len(row.space))
    assert (plain.kind, plain.dimension, plain.space) == ("portrait", 128, DlibFaces().space)
    told = {(row.kind, row.dimension, row.space) for row in drawn}
    assert told == {("portrait", 129, spaces_of(plain.space)[1])}
    assert len(drawn) == 1 + len(FILTERS)  # as it is, and as each filter draws it
    assert made.notes[0].startswith("landscape: no face")
    desk.engine.dispose()


def catalogue(folder: Path, *lines: dict[str, Any]) -> Path:
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(saved(drawing(seed)))
    (folder / "words.png").write_bytes(b"words")
    path = folder / "subjects.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_a_file_registers_every_line_in_order(desk: Desk, tmp_path: Path) -> None:
    path = catalogue(
        tmp_path, FOX | {"references": ["0.png", "1.png"], "negatives": ["2.png"]}, {"name": "Kimbo Larr"},
        {"name": "Jane Q. Sample", "kind": "person"},
    )  # fmt: skip
    told: list[tuple[int, int]] = []
    receipts = desk.register_file(path, lambda done, total: told.append((done, total)))
    assert [made.sequence for made in receipts] == [1, 2, 3]
    assert [made.name for made in receipts] == [FOX["name"], "Kimbo Larr", "Jane Q. Sample"]
    assert {one.id for one in desk.every()} == {made.id for made in receipts}
    assert (told[0], told[-1]) == ((3, 3), (3, 3))
    assert [one.name for one in desk.every("studio EXAMPLE")] == [FOX["name"]]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "picture": ({"references": ["0.png", "words.png"]}, "words.png: this is not a picture"),
    "missing": ({"references": ["nowhere.png"]}, "nowhere.png: cannot be opened"),
    "outside": ({"references": ["../x.png"]}, "'..'"),
    "absolute": ({"references": ["/x.png"]}, "absolute"),
    "faceless": ({"references": ["0.png"], "kind": "person"}, "no face"),
    "both": ({"references": ["0.png"], "negatives": ["./0.png"]}, "cannot be both"),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_bad_line_keeps_the_whole_file_out(desk: Desk, tmp_path: Path, name: str) -> None:
    wrong, word = WRONG[name]
    good = {"name": "Zorblax", "references": ["0.png"]}
    path = catalogue(tmp_path, good, good | {"name": "Kimbo Larr"} | wrong, good | {"name": "Quimbo Tarr"})
    with pytest.raises(ImportRefused) as caught:
        desk.register_file(path)
    [problem] = caught.value.problems
    assert (problem.line, problem.code) == (2, "picture_refused")
    assert word in problem.message
    assert head(desk) == 0
    assert not list(desk.every())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["Zorblax", "Kimbo Larr", "Up", "", "x\u0007y", 7]), min_size=1, max_size=6))
def test_a_file_is_registered_as_a_whole_or_not_at_all(desk: Desk, tmp_path: Path, names: list[Any]) -> None:
    before = head(desk)
    path = catalogue(tmp_path, *({"name": name} for name in names))
    malformed = [number for number, name in enumerate(names, 1) if name in ("", "x\u0007y", 7)]
    refused = malformed or [number for number, name in enumerate(names, 1) if name == "Up"]
    try:
        receipts = desk.register_file(path)
    except ImportRefused as error:
        assert [problem.line for problem in error.problems] == refused  # noqa: PT017 - both ways are right
        assert head(desk) == before
    else:
        assert not refused
        assert [made.name for made in receipts] == names


def test_what_the_registry_refuses_is_told_by_its_line(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any, **_more: Any) -> None:
        raise OptOutInvalid("A subject has too many names.", index=1)

    monkeypatch.setattr(optouts, "add_many", full)
    with pytest.raises(ImportRefused) as caught:
        desk.register_file(catalogue(tmp_path, {"name": "Zorblax"}, {"name": "Kimbo"}))
    assert [problem.line for problem in caught.value.problems] == [2]


def test_withdrawing_takes_everything_out_of_force(desk: Desk) -> None:
    made = desk.register(parse_order(FOX), [picture("a")])
    gone = desk.withdraw(made.id, "a mistake")
    assert (gone.id, gone.sequence, gone.new, gone.name) == (made.id, 2, True, FOX["name"])
    record = desk.show(made.id)
    assert (record.state, record.names, record.vectors) == ("withdrawn", (), ())
    assert not desk.withdraw(made.id).new


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    for subject in ("nothing", "", "\x1b[31m", "\udcff"):
        for act in (desk.show, desk.withdraw):
            with pytest.raises(NotFound):
                act(subject)
