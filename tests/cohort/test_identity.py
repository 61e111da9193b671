"""Keyed hashes: stable for a key, and private."""

from __future__ import annotations

import csv
import hashlib
import hmac
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from liverspleen.cohort.identity import Identity, default_key, inside, read_key, write_links
from liverspleen.errors import InputError, Issue


def make(file: str, answers: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    answers.put(read_key(Path(file))[0])


def test_ids_are_hmac_sha256_of_kind_and_name() -> None:
    expected = hmac.new(b"k" * 32, b"patient\0P1", hashlib.sha256).hexdigest()[:16]
    assert Identity(b"k" * 32).patient_id("P1", from_header=True) == expected
    assert Identity(b"l" * 32).patient_id("P1", from_header=True) != expected
    assert Identity(b"k" * 32).case_id("P1", "P1") != expected


def test_only_names_of_files_are_kept_not_those_of_headers() -> None:
    identity = Identity(b"k" * 32, names=True, roots=(Path("/in"),))
    assert identity.case_id("CT/1", "x") == "CT_1"
    assert identity.patient_id("1", from_header=False) == "1"
    assert identity.patient_id("Doe", from_header=True) != "Doe"
    assert identity.path("/in/CT/1/a.dcm") == "CT/1/a.dcm"
    assert "home" not in identity.path("/home/doe/a.dcm")


def test_redacted_paths_are_relative_to_their_root() -> None:
    identity = Identity(b"k" * 32, roots=(Path("/data/in"),))
    redacted = identity.path(Path("/data/in/imagesTr/Doe_0000.nii.gz"))
    folder, name = redacted.split("/")
    assert folder == "imagesTr"
    assert name.endswith(".nii.gz")
    assert identity.links["name", name.removesuffix(".nii.gz")] == "Doe_0000"
    assert identity.path(redacted) == redacted
    assert "data" not in identity.path("/data/other/x").split("/")
    assert identity.issue(Issue("X", "what", "hint", file="/data/in/Doe.nii")).file != "/data/in/Doe.nii"


def test_a_key_is_created_for_its_owner_only_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "import.key"
    first, created = read_key(file)
    assert created
    assert len(first) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_key(file) == (first, False)
    assert [path.name for path in file.parent.iterdir()] == ["import.key"]


def test_processes_that_create_the_key_at_once_have_the_same_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    makers = [context.Process(target=make, args=(str(tmp_path / "k"), answers)) for _ in range(8)]
    for maker in makers:
        maker.start()
    keys = {answers.get(timeout=30) for _ in makers}
    for maker in makers:
        maker.join()
    assert len(keys) == 1


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_key_that_others_can_read_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "k"
    read_key(file)
    file.chmod(0o640)
    with pytest.raises(InputError, match=r"LS-IDN-002.*0640"):
        read_key(file)


@pytest.mark.parametrize("content", ["", "abc", "g" * 64, "ab" * 31])
def test_an_invalid_key_is_rejected(content: str, tmp_path: Path) -> None:
    file = tmp_path / "k"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(InputError, match="LS-IDN-003"):
        read_key(file)


def test_the_key_is_in_the_config_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/cfg")
    assert default_key() == Path("/cfg/liverspleen/import.key")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_key() == Path("/home/me/.config/liverspleen/import.key")


def test_a_linked_file_inside_a_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert inside(tmp_path / "link" / "k", [tmp_path / "out"])
    assert not inside(tmp_path / "k", [tmp_path / "out"])


def test_links_are_written_for_their_owner_only(tmp_path: Path) -> None:
    identity = Identity(b"k" * 32)
    token = identity.hashed("patient", "Doe, Jane")
    write_links(tmp_path / "links.csv", identity)
    assert (tmp_path / "links.csv").read_text().splitlines()[1] == f'patient,{token},"Doe, Jane"'
    assert stat.S_IMODE((tmp_path / "links.csv").stat().st_mode) == 0o600


def test_links_of_earlier_imports_are_kept(tmp_path: Path) -> None:
    for name in ("Doe, Jane", "caf\u00e9\n\udcff", "Doe, Jane"):
        identity = Identity(b"k" * 32)
        identity.hashed("patient", name)
        write_links(tmp_path / "links.csv", identity)
    with (tmp_path / "links.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == ["kind", "hash", "real"]
    assert sorted(row[2] for row in rows) == ["Doe, Jane", "caf\u00e9\n\udcff"]
