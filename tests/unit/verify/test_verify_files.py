"""Which files `verify` means by folders and patterns."""

import os
from pathlib import Path

import pytest

from pipeline.cli.verify_files import HIDDEN, LINKS, OTHERS, Chosen, choose
from pipeline.errors import UsageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of clips with subfolders, and outside.mp4 beside it."""
    root = tmp_path / "clips"
    for name in ("b.mp4", "a.mp4", "notes.txt", ".hidden.mp4", "deep/c.MOV", "deep/.git/x.mp4",
                 "deep/deeper/d.mp4"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (tmp_path / "outside.mp4").write_bytes(b"x")
    return root


def names(chosen: Chosen, root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in chosen.files]


def take(*arguments: Path | str, recursive: bool = False, suffixes: tuple[str, ...] = ()) -> Chosen:
    return choose([Path(one) for one in arguments], recursive=recursive, suffixes=suffixes)


def test_a_folder_gives_its_videos_in_order(tree: Path) -> None:
    chosen = take(tree)
    assert names(chosen, tree) == ["a.mp4", "b.mp4"]
    assert chosen.left[HIDDEN] == 1
    assert chosen.left[OTHERS] == 1


def test_subfolders_only_when_asked_and_never_hidden_ones(tree: Path) -> None:
    assert names(take(tree, recursive=True), tree) == ["a.mp4", "b.mp4", "deep/c.MOV", "deep/deeper/d.mp4"]


def test_suffixes_can_be_named(tree: Path) -> None:
    assert names(take(tree, recursive=True, suffixes=("mov", ".TXT")), tree) == ["notes.txt", "deep/c.MOV"]


def test_a_named_file_is_taken_whatever_it_is(tree: Path) -> None:
    missing = tree / "no such [file].mp4"
    link = tree / "link.mp4"
    link.symlink_to(tree.parent / "outside.mp4")
    named = [tree / ".hidden.mp4", tree / "notes.txt", link]
    assert take(*named).files == named
    assert take(missing.with_name("none.mp4")).files == [missing.with_name("none.mp4")]
    missing.write_bytes(b"x")  # it is a file now, though its name looks like a pattern
    assert take(missing).files == [missing]


def test_links_lead_nowhere_else(tree: Path) -> None:
    (tree / "out.mp4").symlink_to(tree.parent / "outside.mp4")
    (tree / "gone.mp4").symlink_to(tree / "nothing")
    (tree / "in.mp4").symlink_to(tree / "deep" / "c.MOV")
    (tree / "up").symlink_to(tree.parent)
    (tree / "deep" / "loop").symlink_to(tree)
    for chosen in (take(tree, recursive=True), take(tree / "**" / "*.[mM]*")):
        found = names(chosen, tree)
        assert len({"in.mp4", "deep/c.MOV"} & set(found)) == 1  # one file, taken once
        assert not {"out.mp4", "gone.mp4"} & set(found)
        assert not any(name.startswith(("up/", "deep/loop/")) for name in found)
        assert chosen.left[LINKS] >= 2
        assert len(found) == len(set(found))


def test_each_file_once(tree: Path) -> None:
    os.link(tree / "a.mp4", tree / "hard.mp4")  # another name of the same bytes is another file
    chosen = take(tree / "b.mp4", tree, tree / "*.mp4")
    assert names(chosen, tree) == ["b.mp4", "a.mp4", "hard.mp4"]


def test_patterns(tree: Path) -> None:
    assert names(take(tree / "*.mp4"), tree) == ["a.mp4", "b.mp4"]
    assert names(take(tree / "**" / "*.mp4"), tree) == ["a.mp4", "b.mp4", "deep/deeper/d.mp4"]
    assert names(take(tree / "dee?" / "*"), tree) == ["deep/c.MOV"]


@pytest.mark.parametrize("argument", ["empty", "*.mkv", "**x/[!"])
def test_an_argument_that_means_nothing_is_refused(
    tree: Path, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    (tree / "empty").mkdir()
    monkeypatch.chdir(tree)
    with pytest.raises(UsageError):
        take(tree / "a.mp4", argument)


@pytest.mark.skipif(os.geteuid() == 0, reason="does not apply: root can read every folder")
def test_a_folder_that_cannot_be_read_is_told(tree: Path) -> None:
    (tree / "deep").chmod(0)
    try:
        chosen = take(tree, recursive=True)
    finally:
        (tree / "deep").chmod(0o700)
    assert [path.name for path, _ in chosen.unlisted] == ["deep"]
    assert names(chosen, tree) == ["a.mp4", "b.mp4"]


def test_other_things_are_no_files(tree: Path) -> None:
    os.mkfifo(tree / "pipe.mp4")
    assert names(take(tree), tree) == ["a.mp4", "b.mp4"]
    assert names(take(tree / "*.mp4"), tree) == ["a.mp4", "b.mp4"]
