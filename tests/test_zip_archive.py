"""Zip archives from outside: which are read, where the bytes of their entries are, and which are rejected."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.zip_archive import Limits, UnsafeArchiveError, blocks, is_whole, open_archive

LIMITS = Limits(3, 1 << 30, 1 << 30, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))


def archive(folder: Path, *names: str, method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", method) as opened:
        for name in names:
            opened.writestr(name, name.encode() * 10)
        opened.comment = comment
    return folder / "a.zip"


def reason(file: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(UnsafeArchiveError) as rejected, open_archive(file, limits):
        pass
    return rejected.value.reason


@pytest.mark.parametrize("comment", [b"", b"x" * 65535])
def test_stored_entries_are_read_in_place(tmp_path: Path, comment: bytes) -> None:
    file = archive(tmp_path, "a", "folder/", "folder/ä", comment=comment)
    with open_archive(file, LIMITS) as (_, entries):
        assert [*entries] == ["a", "folder/ä"]
    content = {name: b"".join(blocks(file, entry.offset, entry.size)) for name, entry in entries.items()}
    assert content == {"a": b"a" * 10, "folder/ä": "folder/ä".encode() * 10}
    assert all(is_whole(file, entry) for entry in entries.values())
    file.write_bytes(file.read_bytes().replace(b"aaa", b"bbb"))
    assert not is_whole(file, entries["a"])


def test_limits_are_those_of_the_caller(tmp_path: Path) -> None:
    file = archive(tmp_path, "a", "b", "c", method=zipfile.ZIP_DEFLATED)
    with open_archive(file, LIMITS) as (opened, entries):
        assert opened.read(entries["a"].info) == b"a" * 10
    assert reason(file, Limits(2, 1 << 30, 1 << 30, LIMITS.methods)) == "size"
    assert reason(file, Limits(3, 1 << 30, 29, LIMITS.methods)) == "size"
    assert reason(file, Limits(3, 1 << 30, 1 << 30, (zipfile.ZIP_STORED,))) == "method"


def renamed_in_place(whole: bytes) -> bytes:
    return whole.replace(b"first", b"other", 1)


def cut(whole: bytes) -> bytes:
    return whole[:-30]


def with_two_sizes(whole: bytes) -> bytes:
    at = whole.index(b"PK\1\2") + 24
    return whole[:at] + (7).to_bytes(4, "little") + whole[at + 4 :]


def with_a_hidden_end_of_a_name(whole: bytes) -> bytes:
    return whole.replace(b"first", b"fir\0t")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (renamed_in_place, "damaged"),
        (cut, "damaged"),
        (with_two_sizes, "damaged"),
        (with_a_hidden_end_of_a_name, "outside"),
        (lambda _: b"no zip", "damaged"),
    ],
)
def test_changed_archives_are_rejected(tmp_path: Path, change: Callable[[bytes], bytes], expected: str) -> None:
    file = archive(tmp_path, "first", "second")
    file.write_bytes(change(file.read_bytes()))
    assert reason(file) == expected


def test_two_entries_of_the_same_name_are_rejected(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        file = archive(tmp_path, "a", "a")
    assert reason(file) == "damaged"


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "..\\a", "C:\\a"])
def test_names_that_lead_out_are_rejected_and_not_in_the_message(tmp_path: Path, name: str) -> None:
    file = archive(tmp_path, name)
    with pytest.raises(UnsafeArchiveError) as rejected, open_archive(file, LIMITS):
        pass
    assert (rejected.value.reason, rejected.value.name) == ("outside", name)
    assert rejected.value.message == "the name of an entry leads out of the archive"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_rejected(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("a")
    info.external_attr = kind << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(info, b"b")
    assert reason(tmp_path / "a.zip") == "special"


def test_entries_that_overlap_by_a_byte_are_rejected(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        opened.writestr("a", b"x" * 100)
        opened.writestr("b", b"y")
        opened.infolist()[0].file_size = opened.infolist()[0].compress_size = 101
    (tmp_path / "a.zip").write_bytes(data.getvalue())
    assert reason(tmp_path / "a.zip") == "size"


def test_a_folder_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"), open_archive(tmp_path, LIMITS):
        pass
