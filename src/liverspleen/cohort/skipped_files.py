"""Files of a folder that are not read: one issue for each kind, with their number and examples."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from liverspleen.cohort.image_files import is_output
from liverspleen.cohort.probability_files import is_probability_name
from liverspleen.errors import Issue, counted
from liverspleen.imaging.files import parts, strip_suffix
from liverspleen.imaging.nifti import SUFFIXES

_EXAMPLES = 3
_IMAGES = (".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".img", ".hdr", ".raw", ".npy", ".h5", ".hdf5", ".mat")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar", ".gz", ".bz2", ".xz")
_HARMLESS = frozenset(
    {".txt", ".md", ".rst", ".pdf", ".doc", ".docx", ".html", ".rtf", ".bib", ".cff", ".log"}
    | {".csv", ".tsv", ".xls", ".xlsx", ".ods", ".json", ".yaml", ".yml", ".xml", ".toml", ".ini"}
    | {".npz", ".pkl", ".py", ".sh", ".ipynb", ".m", ".ctbl", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".db", ".lock"}
)
_HARMLESS_NAMES = frozenset({"readme", "license", "copying", "changelog", "dicomdir", "makefile", "citation"})
_CONVERT = "move them to another folder; convert them to .nii.gz if they are CT scans or label maps"
_NIFTI, _READABLE, _DICOM, _LINKS, _ARCHIVED, _OTHER_IMAGES, _OTHER = range(7)
_KINDS: Mapping[int, tuple[str, str, str]] = {
    _NIFTI: ("NIfTI file", "NIfTI files", "give their folder as the input or as labels= to read them"),
    _READABLE: (
        "image file of another format than NIfTI",
        "image files of other formats than NIfTI",
        "give their folder as the input or as labels= to read them",
    ),
    _DICOM: ("DICOM file", "DICOM files", "import them with liverspleen import source=dicom if they are CT scans"),
    _LINKS: ("link to a folder", "links to folders", "replace each link by a copy of its folder to read it"),
    _ARCHIVED: ("archive", "archives", "move them to another folder; unpack them if they hold scans or label maps"),
    _OTHER_IMAGES: (
        "file of another image format",
        "files of other image formats",
        _CONVERT,
    ),
    _OTHER: ("file of unknown type", "files of unknown type", _CONVERT),
}
"""Noun in singular and plural, and hint, of each kind."""


def skipped_files(folder: Path, read: Collection[Path], *, dicom: bool = False) -> Iterator[Issue]:
    """Yield the warning LS-COH-040 for each kind of file below a folder that was not read, with up to three examples.

    `read` are the files that were read, or for which there is another issue. Tables, documents, hidden files and
    outputs of this program are not listed. With `dicom` all DICOM files are read, and links are reported separately.
    """
    read = {part for file in read for part in parts(file)}
    kinds: dict[int, list[Path]] = {}
    for path, is_folder_link in _below(folder):
        if path in read or (dicom and path.is_symlink()):
            continue
        kind = _LINKS if is_folder_link else _kind(path)
        if kind is not None:
            kinds.setdefault(_OTHER if dicom and kind == _DICOM else kind, []).append(path)
    for kind, files in sorted(kinds.items()):
        yield _issue(kind, files)


def skipped_entries(archive: Path, entries: Iterable[PurePath]) -> Iterator[Issue]:
    """Yield the warning LS-COH-040 for each kind of entry of an archive that was not read, without their names."""
    kinds: dict[int, list[PurePath]] = {}
    for entry in entries:
        if (kind := _kind_of_name(entry)) is not None:
            kinds.setdefault(kind, []).append(entry)
    for kind, names in sorted(kinds.items()):
        yield replace(_issue(kind, names), file=archive, further_files=())


def _issue(kind: int, files: Sequence[PurePath]) -> Issue:
    noun, plural, hint = _KINDS[kind]
    endings = {_ending(file, _IMAGES if kind == _OTHER_IMAGES else _ARCHIVES) for file in files} - {""}
    listed = f" ({', '.join(sorted(endings))})" if kind in (_OTHER_IMAGES, _ARCHIVED) else ""
    message = f"{counted(len(files), noun, plural)}{listed} {'is' if len(files) == 1 else 'are'} not read"
    first, *others = map(Path, files[:_EXAMPLES])
    return Issue("LS-COH-040", message, hint, file=first, severity="warning", further_files=tuple(others))


def _below(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the files below a folder, in the order of their paths, and links to folders with True."""
    for place, folders, names in os.walk(folder):
        kept = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [name for name in kept if not is_output(Path(place, name))]
        yield from ((Path(place, name), True) for name in kept if Path(place, name).is_symlink())
        yield from ((Path(place, name), False) for name in sorted(names) if not name.startswith("."))


def _kind(file: Path) -> int | None:
    """Return the kind of a file that was not read; None if it is no image, or no regular file."""
    kind = _kind_of_name(file)
    if kind is None or not file.is_file():  # a pipe would block
        return None
    return _DICOM if kind == _OTHER and is_dicom(file) else kind


def _kind_of_name(file: PurePath) -> int | None:
    name = file.name.lower()
    if file.suffix.lower() in _HARMLESS or name.partition(".")[0] in _HARMLESS_NAMES or name.endswith("_dseg.dcm"):
        return None
    if bare := strip_suffix(name):
        if is_probability_name(bare):  # an output of `predict`
            return None
        return _NIFTI if name.endswith(SUFFIXES) else _READABLE
    if _ending(file, _ARCHIVES):
        return _ARCHIVED
    if _ending(file, _IMAGES):
        return _OTHER_IMAGES
    return _OTHER


def _ending(file: PurePath, endings: Iterable[str]) -> str:
    """Return the longest of the endings that the name has; empty if it has none."""
    return max((ending for ending in endings if file.name.lower().endswith(ending)), key=len, default="")


def is_dicom(file: Path) -> bool:
    """Return whether a regular file is DICOM by its ending or its mark."""
    if file.suffix.lower() == ".dcm":
        return True
    try:
        with file.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False
