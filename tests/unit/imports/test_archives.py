"""Zip files of strangers: what is asked for comes out, and nothing else can happen."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import CountermarkError, LimitExceeded, PictureRefused, UsageError
from pipeline.imports import archive
from pipeline.imports.archive import open_pictures
from pipeline.pictures.types import PictureLimits

SMALL = PictureLimits(bytes=1000)


def zipped(folder: Path, entries: dict[str, bytes], change: Callable[[bytes], bytes] = bytes) -> Path:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries.items():
            made.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    path = folder / "pictures.zip"
    path.write_bytes(change(file.getvalue()))
    return path


def one(path: Path, name: str = "a.png", limits: PictureLimits = SMALL) -> bytes:
    with open_pictures(path) as pictures:
        return pictures.load(name, limits).data


def refused(path: Path, word: str, name: str = "a.png", kind: type[CountermarkError] = UsageError) -> None:
    with pytest.raises(kind, match=word):
        one(path, name)


def test_an_entry_is_read_where_a_line_names_it(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.png": b"one", "b/": b"", "b/c.png": b"two", "b/a\u0308.png": b"three"})
    assert [one(path, name) for name in ("a.png", "./b//c.png", "b/\u00e4.png")] == [b"one", b"two", b"three"]
    assert sorted(tmp_path.iterdir()) == [path]
    for name, word in (("c.png", "no such file"), ("../a.png", "'..'"), ("/a.png", "absolute")):
        refused(path, word, name, PictureRefused)
    assert one(tmp_path, "pictures.zip", PictureLimits()) == path.read_bytes()  # a folder is one too


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "b/../../x.png", "a\\..\\x.png", "a\\x.png"])
def test_a_name_that_leads_elsewhere_refuses_the_archive(tmp_path: Path, name: str) -> None:
    refused(zipped(tmp_path, {"a.png": b"one", name: b"two"}), "leads elsewhere")


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w") as made:
            entry = zipfile.ZipInfo("a.png")
            entry.external_attr = (kind | 0o777) << 16
            made.writestr(entry, b"/etc/passwd")
        refused(path, "link")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused_also_in_another_form(tmp_path: Path) -> None:
    for second in ("a.png", "./a.png", "a\u0308.png"):
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("a.png", b"one")
            made.writestr("\u00e4.png", b"one")
            made.writestr(second, b"two")
        refused(path, "twice")


def test_encrypted_and_strange_packing_are_refused(tmp_path: Path) -> None:
    def flagged(data: bytes) -> bytes:
        place = data.index(b"PK\x01\x02")
        return data[: place + 8] + b"\x01\x00" + data[place + 10 :]

    refused(zipped(tmp_path, {"a.png": b"one"}, flagged), "encrypted")
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a.png", b"one")
    refused(path, "packed in a way")


def test_bombs_are_refused(tmp_path: Path) -> None:
    refused(zipped(tmp_path, {"a.png": bytes(3 << 20)}), "far more")
    path = zipped(tmp_path, {"a.png": bytes(2000)})
    refused(path, "larger than", kind=PictureRefused)

    def smaller(data: bytes) -> bytes:  # the list claims 900 bytes, the entry has 2000
        place = data.index(b"PK\x01\x02") + 24
        return data[:place] + struct.pack("<L", 900) + data[place + 4 :]

    refused(zipped(tmp_path, {"a.png": bytes(2000)}, smaller), "damaged|not of the size", kind=PictureRefused)


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    def overlapping(data: bytes) -> bytes:
        first = data.index(b"PK\x01\x02")
        second = data.index(b"PK\x01\x02", first + 1)
        return data[: second + 42] + data[first + 42 : first + 46] + data[second + 46 :]

    refused(zipped(tmp_path, {"a.png": b"one" * 50, "b.png": b"two" * 50}, overlapping), "one in the other")


def test_too_many_entries_are_refused_before_their_list_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path, {f"{number}.png": b"x" for number in range(20)})
    monkeypatch.setattr(archive, "MAX_ENTRIES", 19)
    refused(path, "more than 19 files", kind=LimitExceeded)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 20)
    assert one(path, "7.png") == b"x"
    monkeypatch.setattr(archive, "MAX_LIST_BYTES", 100)
    monkeypatch.setattr(zipfile, "ZipFile", None)  # it is not even asked
    refused(path, "more than 20 files", kind=LimitExceeded)


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pictures.zip"
    path.write_bytes(b"words")
    refused(path, "no zip file")
    refused(tmp_path / "nowhere.zip", "cannot be read")
    whole = zipped(tmp_path, {"a.png": b"one" * 100, "b.png": b"two" * 100})
    data = whole.read_bytes()
    whole.write_bytes(data[:-30])
    refused(whole, "no zip file")


def test_no_change_of_a_byte_does_more_than_refuse(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.png": b"one" * 10, "b/c.png": b"two" * 10})
    data = path.read_bytes()
    for place in range(len(data)):
        for bit in (1, 128):
            path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
            try:
                found = one(path)
            except CountermarkError:
                continue
            assert found == b"one" * 10


def test_a_damaged_entry_is_refused_alone(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"a.png": b"one" * 10, "b.png": b"two" * 10})
    data = bytearray(path.read_bytes())
    data[36] ^= 0xFF  # in the packed bytes of the first
    path.write_bytes(bytes(data))
    refused(path, "damaged", kind=PictureRefused)
    assert one(path, "b.png") == b"two" * 10
