"""Hints about the input of predict."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from hinting import Call, hint
from hints_of_sources import copied, exams, moved, removed
from hints_of_tables import written
from source_files import nifti

from liverspleen.cohort.scans import open_scans
from liverspleen.inference.sharding import Shard


def scans(source: Path, **options: Any) -> Call:
    def opened() -> Any:
        with open_scans(source, **options) as found:
            return found

    return opened


@hint("LS-PRD-001", "give such a file, or a folder of such files")
def input_without_ct(folder: Path):
    nifti(folder / "in", exams())
    written(folder / "notes.txt", "x")
    yield scans(folder / "notes.txt")
    yield scans(folder / "in" / "images")


@hint("LS-PRD-002", "keep one of them")
def two_scans_of_one_name(folder: Path):
    nifti(folder / "in", exams("a"))
    copied("images/a.nii.gz", "images/a.nii")(folder / "in")
    yield scans(folder / "in" / "images")
    removed("images/a.nii")(folder / "in")


@hint("LS-SCN-001", "copy it again from its source")
def archive_that_is_damaged(folder: Path):
    nifti(folder / "in", exams("a"))
    file = folder / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(folder / "in" / "images" / "a.nii.gz", "a.nii.gz")
    kept = file.read_bytes()
    file.write_bytes(kept[: len(kept) // 2])
    yield scans(file)
    file.write_bytes(kept)


@hint("LS-SCN-010", "rename the file or folder")
def scan_of_an_unusable_name(folder: Path):
    nifti(folder / "in", exams("a"))
    moved("images/a.nii.gz", "images/a\n.nii.gz")(folder / "in")
    yield scans(folder / "in" / "images")
    moved("images/a\n.nii.gz", "images/a.nii.gz")(folder / "in")


@hint("LS-CFG-016", "give a cohort.csv as input=, or remove root=")
def root_without_cohort(folder: Path):
    nifti(folder / "in", exams("a"))
    yield scans(folder / "in" / "images", root=folder)
    yield scans(folder / "in" / "images")


@hint("LS-PRD-030", "give 1/8 to 8/8 for 8 tasks")
def shard_out_of_range(folder: Path):
    yield lambda: Shard.of("9/8")
    yield lambda: Shard.of("8/8")


def archive(folder: Path, **options: Any) -> Path:
    nifti(folder / "in", exams("a"))
    with zipfile.ZipFile(folder / "a.zip", "w", **options) as opened:
        opened.write(folder / "in" / "images" / "a.nii.gz", "a.nii.gz")
    return folder / "a.zip"


@hint("LS-SCN-004", "unpack it, and give the folder")
def encrypted_archive(folder: Path):
    file = archive(folder)
    content = bytearray(file.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1  # the flag of an encrypted entry
    file.write_bytes(content)
    yield scans(file)
    yield scans(folder / "in" / "images")


@hint("LS-SCN-006", "unpack it, and give the folder")
def archive_of_another_compression(folder: Path):
    file = archive(folder, compression=zipfile.ZIP_BZIP2)
    yield scans(file)
    yield scans(folder / "in" / "images")
