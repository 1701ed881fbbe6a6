"""Which files `verify` means by folders and patterns."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipeline.cli.output import check_target
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


def closed(monkeypatch: pytest.MonkeyPatch, call: str, place: Path) -> None:
    """Let a call of `os` refuse one place, as the system does to whoever is not root."""
    real = getattr(os, call)

    def refusing(path: Any, *rest: Any, **named: Any) -> Any:
        if not isinstance(path, int) and os.fspath(path) == str(place):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        return real(path, *rest, **named)

    monkeypatch.setattr(os, call, refusing)


@pytest.mark.parametrize("pattern", ["", "**/*.mp4", "*/*.MOV", "*/c.MOV", "dee?/**/d.mp4"])
def test_a_folder_that_cannot_be_read_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    closed(monkeypatch, "scandir", tree / "deep")
    chosen = take(tree / "a.mp4", tree / pattern, recursive=True)
    [(place, why)] = chosen.unlisted
    assert (place, "cannot be listed (Permission denied)" in why) == (tree / "deep", True)
    assert {"a.mp4"} <= set(names(chosen, tree)) <= {"a.mp4", "b.mp4"}


def test_what_a_pattern_begins_with_may_be_closed_too(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed(monkeypatch, "scandir", tree / "deep")
    assert [place for place, _ in take(tree / "deep" / "*.mp4").unlisted] == [tree / "deep"]


@pytest.mark.parametrize("pattern", ["", "*", "**/*.mp4"])
def test_an_entry_that_cannot_be_seen_stops_no_other(
    tree: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    (tree / "a-far.mp4").symlink_to(tree.parent / "shut" / "x.mp4")
    (tree / "a-near.mp4").symlink_to(tree / "shut" / "x.mp4")
    for name in ("a-far.mp4", "a-near.mp4", "b.mp4"):  # the last as in a folder that may only be listed
        closed(monkeypatch, "stat", tree / name)
    chosen = take(tree / pattern)
    assert names(chosen, tree)[:2] == ["a.mp4", "b.mp4"]
    assert chosen.left[LINKS] == 1
    assert chosen.unlisted == [
        (tree / "a-near.mp4", "what this is cannot be seen (Permission denied); it was not verified")
    ]


def test_what_a_pattern_leaves_out_is_counted(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "deep")
    (tree / ".git").mkdir()
    assert take(tree / "*.mp4").left == {HIDDEN: 1}  # .hidden.mp4, which it means
    chosen = take(tree / "*" / "c.MOV")
    assert (names(chosen, tree), chosen.left) == (["deep/c.MOV"], {LINKS: 1, HIDDEN: 1})


def test_a_named_file_that_cannot_be_seen_is_for_the_report(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed(monkeypatch, "stat", tree / "a.mp4")
    long = tree / ("x" * 300)
    assert take(tree / "a.mp4", long, tree / "b.mp4").files == [tree / "a.mp4", long, tree / "b.mp4"]
    (tree / "page.html").touch()
    check_target(tree / "page.html", tree / "a.mp4", long)
    (tree / "in.mp4").symlink_to(tree / "page.html")
    with pytest.raises(UsageError, match="overwrite"):
        check_target(tree / "page.html", tree / "a.mp4", tree / "in.mp4")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["**", "*", "*.mp4", "d*", "deep", "c.MOV", "[!a]*", "?.m*"]), min_size=1,
                max_size=4))  # fmt: skip
def test_a_pattern_finds_what_the_library_finds(tree: Path, parts: list[str]) -> None:
    assume("*" in "".join(parts))
    pattern = "/".join(parts)
    wanted = {path for path in tree.glob(pattern) if path.is_file() and "/." not in str(path)}
    try:
        found = take(tree / pattern).files
    except UsageError:
        found = []
    assert set(found) == wanted
    assert len(found) == len(wanted)


def test_other_things_are_no_files(tree: Path) -> None:
    os.mkfifo(tree / "pipe.mp4")
    assert names(take(tree), tree) == ["a.mp4", "b.mp4"]
    assert names(take(tree / "*.mp4"), tree) == ["a.mp4", "b.mp4"]
