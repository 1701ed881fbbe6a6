"""Orders as people and files write them: everything wrong is told, with its line, before anything is done."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_builders import drawing, saved

from pipeline.errors import ImportRefused, LimitExceeded, PictureRefused, UsageError
from pipeline.optouts import lines
from pipeline.optouts.files import checked, open_folder
from pipeline.optouts.lines import read_lines
from pipeline.optouts.order import UNNAMED, OptOutLine, parse_order, plain, written

WHOLE = {
    "kind": "character", "name": "Zorblax the Brave", "aliases": ["Zorblax"],
    "names": {"ja": ["ゾーブラックス"]},
    "description": "a purple fox with three tails", "attributes": ["three tails"],
    "exclusions": ["real foxes"], "context": ["film"], "references": ["a.png"],
    "negatives": ["b.png"], "owner": "Studio Example",
}  # fmt: skip


def file_of(folder: Path, *content: Any) -> Path:
    path = folder / "subjects.ndjson"
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in content]
    path.write_bytes(b"\n".join(raw))
    return path


def test_a_whole_line_of_the_contract(tmp_path: Path) -> None:
    [line] = read_lines(file_of(tmp_path, WHOLE))
    order = line.order
    assert (line.number, order.name, order.names["ja"]) == (1, WHOLE["name"], ("ゾーブラックス",))
    assert (order.references, order.negatives, order.mode) == (("a.png",), ("b.png",), "block")


def test_a_name_alone_is_enough(tmp_path: Path) -> None:
    [line] = read_lines(file_of(tmp_path, {"name": "Zorblax"}))
    assert (line.order.kind, line.order.owner) == ("character", UNNAMED)


def test_empty_lines_a_mark_and_carriage_returns_do_not_count(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'\xef\xbb\xbf{"name": "one"}\r', b"", b"  \r", b'{"name": "two"}', b"")
    assert [(line.number, line.order.name) for line in read_lines(path)] == [(1, "one"), (4, "two")]


WRONG = {
    b"{": "not JSON",
    b"[1]": "not an object",
    b"null": "not an object",
    b'{"name": "caf\xe9"}': "UTF-8 at byte 13",
    b'{"name": "a", "name": "b"}': "twice",
    b'{"name": NaN}': "NaN",
    b'{"name": "a", "nmae": "b"}': "no key 'nmae'",
    b'{"name": ""}': "name: is empty",
    b'{"name": "  "}': "name: is empty",
    b'{"name": "\\ud800"}': "not valid UTF-8",
    b'{"name": "a\\u0007b"}': "U+0007",
    b'{"name": "\\u200b\\u200d"}': "shows nothing",
    b'{"name": 7}': "name: ",
    b'{"owner": "Studio"}': "name: ",
    b'{"name": "a", "kind": "song"}': "kind: ",
    b'{"name": "a", "mode": "deny"}': "mode: ",
    b'{"name": "a", "aliases": "b"}': "aliases: ",
    b'{"name": "a", "aliases": [""]}': "aliases.0: is empty",
    b'{"name": "a", "names": {"not a language": ["b"]}}': "names",
    b'{"name": "a", "references": ["x.png"], "negatives": ["x.png"]}': "reference and a negative",
    b"[" * 100_000: "not JSON",
    b'{"name": ' + b"9" * 6000 + b"}": "not JSON",
    b'{"name": "' + b"x" * 300 + b'"}': "name: ",
}


def test_every_wrong_line_is_told_by_its_number(tmp_path: Path) -> None:
    good = b'{"name": "good"}'
    content = [line for wrong in WRONG for line in (good, wrong)]
    with pytest.raises(ImportRefused) as caught:
        read_lines(file_of(tmp_path, *content))
    problems = caught.value.problems
    assert [problem.line for problem in problems] == list(range(2, len(content) + 1, 2))
    for problem, (raw, word) in zip(problems, WRONG.items(), strict=True):
        assert word in problem.message, (raw[:60], problem)
        assert "\x07" not in problem.message
        assert problem.code == "usage"
    assert str(caught.value).startswith("line 2: ")


def test_long_lines_and_many_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(lines, "MAX_LINES", 3)
    long = b'{"name": "' + b"x" * 5000 + b'"}'
    with pytest.raises(ImportRefused) as caught:
        read_lines(file_of(tmp_path, {"name": "a"}, long, {"name": "b"}))
    assert [(one.line, one.code) for one in caught.value.problems] == [(2, "limit_exceeded")]
    with pytest.raises(LimitExceeded, match="more than 3 lines"):
        read_lines(file_of(tmp_path, *[{"name": "a"}] * 4))


def test_files_that_are_none(tmp_path: Path) -> None:
    empty, pipe = tmp_path / "empty", tmp_path / "pipe"
    empty.write_bytes(b"\n\n")
    os.mkfifo(pipe)
    for path in (empty, pipe, tmp_path, tmp_path / "missing", Path("a\0b")):
        with pytest.raises(UsageError):
            read_lines(path)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([*OptOutLine.model_fields, "other"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6,
)))  # fmt: skip
def test_any_object_is_an_order_or_a_sentence(values: dict[str, Any]) -> None:
    with contextlib.suppress(UsageError):
        order = parse_order(values)
        assert order.name == written(order.name) != ""


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_written_stays_as_it_is(text: str) -> None:
    try:
        once = plain("text", text)
    except UsageError:
        return
    assert plain("text", once) == once


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A folder of pictures with something outside of it that must not be read, and links to that."""
    folder = tmp_path / "catalogue"
    (folder / "inner").mkdir(parents=True)
    for path in (tmp_path / "secret.png", folder / "a.png", folder / "inner" / "b.png"):
        path.write_bytes(saved(drawing()))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "near.png").symlink_to("a.png")
    (folder / "out").symlink_to(tmp_path)
    return folder


def test_pictures_lie_below_the_folder(catalogue: Path) -> None:
    with open_folder(catalogue) as folder:
        for path in ("a.png", "./a.png", "inner/b.png", "inner//b.png", "inner/./b.png"):
            assert folder.load(path).data == saved(drawing())


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/etc/hostname", "absolute"), ("../secret.png", "'..'"), ("inner/../../secret.png", "'..'"),
        ("inner/..", "'..'"), ("link.png", "symbolic link"), ("near.png", "symbolic link"),
        ("out/secret.png", "symbolic link"), ("missing.png", "cannot be opened"), ("inner", "not a file"),
        ("a.png/b.png", "cannot be opened"), ("", "no path"), (".", "no path"), ("a\0.png", "characters"),
        ("..\\secret.png", "characters"), ("\udcff.png", "characters"), ("a/" * 40 + "b", "no path"),
        ("x" * 400, "cannot be opened"),
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(catalogue: Path, path: str, word: str) -> None:
    with open_folder(catalogue) as folder, pytest.raises(PictureRefused, match=word):
        folder.load(path)


STEPS = st.sampled_from(
    ["..", ".", "", "a.png", "inner", "b.png", "out", "link.png", "secret.png", "\\", "~"]
)


@given(st.lists(STEPS, max_size=6).map("/".join))
def test_a_checked_path_never_climbs(path: str) -> None:
    try:
        parts = checked(path)
    except PictureRefused:
        return
    assert parts
    assert not {"", ".", ".."} & set(parts)
    assert not any("/" in part for part in parts)


def test_no_path_reads_what_is_outside(catalogue: Path) -> None:
    outside = b"not for you"
    (catalogue.parent / "secret.png").write_bytes(outside)

    @given(st.lists(STEPS, max_size=6).map("/".join))
    def nothing_from_outside(path: str) -> None:
        with open_folder(catalogue) as folder, contextlib.suppress(PictureRefused):
            assert folder.load(path).data != outside

    nothing_from_outside()


def test_no_open_file_is_left(catalogue: Path) -> None:
    def opened() -> int:
        return sum(1 for _ in Path("/dev/fd").iterdir())

    before = opened()
    with open_folder(catalogue) as folder:
        for path in ("a.png", "inner/b.png", "inner/missing", "out/secret.png", "inner", "link.png"):
            with contextlib.suppress(PictureRefused):
                folder.load(path)
    assert opened() == before
