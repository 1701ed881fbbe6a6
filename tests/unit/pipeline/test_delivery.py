"""Where a release may be written, and that it appears whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from pipeline.cli.output import check_target
from pipeline.delivery import deliver
from pipeline.errors import HomeUnusable, StorageFailed, UsageError
from pipeline.home import Home


@pytest.fixture
def release(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "release"
    path.parent.mkdir()
    path.write_bytes(b"released" * 1000)
    path.chmod(0o400)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "clip.mp4"


def test_it_arrives_whole_and_readable(release: Path, out: Path) -> None:
    before = os.umask(0o027)
    try:
        deliver(release, out)
    finally:
        os.umask(before)
    assert out.read_bytes() == release.read_bytes()
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_an_empty_file_may_be_filled(release: Path, out: Path) -> None:
    out.touch()
    check_target(out, release)
    deliver(release, out)
    assert out.stat().st_size


def test_what_appeared_meanwhile_is_kept(release: Path, out: Path) -> None:
    out.write_bytes(b"precious")
    with pytest.raises(StorageFailed, match="meanwhile"):
        deliver(release, out)
    assert out.read_bytes() == b"precious"
    out.unlink()
    other = out.with_name("other")
    out.symlink_to(other)
    with pytest.raises(StorageFailed):
        deliver(release, out)
    assert not other.exists()
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_missing_folder_or_release(release: Path, out: Path) -> None:
    with pytest.raises(StorageFailed, match="safe in the home"):
        deliver(release, out.parent / "no" / "clip.mp4")
    with pytest.raises(StorageFailed):
        deliver(release.with_name("gone"), out)
    assert list(out.parent.iterdir()) == []


def test_targets_that_are_refused_before_any_work(release: Path, out: Path) -> None:
    clip = out.with_name("in.mp4")
    clip.write_bytes(b"clip")
    hard, link, dangling = (out.with_name(name) for name in ("hard", "link", "dangling"))
    hard.hardlink_to(clip)
    link.symlink_to(clip)
    dangling.symlink_to(out)
    pipe = out.with_name("pipe")
    os.mkfifo(pipe)
    for target in (
        clip, hard, link, dangling, pipe, out.parent, out.parent / "no" / "x.mp4", clip / "x.mp4",
        out.with_name("x" * 300),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            check_target(target, clip)
    assert clip.read_bytes() == b"clip"
    check_target(out, clip, out.with_name("missing"))


def test_a_home_is_made_for_its_owner(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home")
    home.make()
    home.make()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(HomeUnusable):
            Home(wrong).make()
