"""A folder of images as a cohort: CT scans and label maps are paired by their names; nothing is copied."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from liverspleen.cohort.label_meaning import UnusableNamesError, read_names, stated_files
from liverspleen.cohort.label_names import label_files, several_files, stated_coverage
from liverspleen.cohort.manifest import Cohort, cohort_text, parse_cohort, read_cohort
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import strip_suffix
from liverspleen.organs import ORGAN_KEYS, organ
from liverspleen.storage import StrPath, write_text

LABEL_SUFFIX = "_label"
"""Suffix of a label map in the same folder as its CT."""

_LAYOUTS = (("images", "labels"), ("imagesTr", "labelsTr"))
_CHANNEL = "_0000"  # the CT channel of nnU-Net
_MOST_LISTED = 5
_MOST_TESTED_FILES = 100  # for DICOM, in a folder without NIfTI
_IMPORT = "import it with liverspleen import, or write a cohort.csv"


def open_cohort(
    path: StrPath, *, root: StrPath | None = None, vocabulary: Vocabulary | None = None, table: StrPath | None = None
) -> Cohort:
    """Open a cohort: a `cohort.csv`, a folder with a `cohort.csv`, or a folder of images.

    A folder of images has `images/` and `labels/`, or `imagesTr/` and `labelsTr/`, with files of the same names (apart
    from `_0000` of nnU-Net and `_dseg` of `liverspleen predict`), or `X.nii.gz` and `X_label.nii.gz` in one folder.
    Label maps have the values of liverspleen. Each CT counts as its own patient (warning LS-COH-030). The resulting
    table is written to `table` if it is given. A file name that is not UTF-8 is an issue of the cohort (LS-COH-037).

    Raises:
        InputError: as `read_cohort`; LS-COH-031 the folder has no images, or DICOM, LS-COH-032 two layouts, LS-COH-035
            a file beside its label maps gives other label values, LS-COH-036 `table` exists and differs; LS-LAB-007 a
            CT has two label maps.
    """
    path = Path(path)
    if not path.is_dir():
        return read_cohort(path, root=root, vocabulary=vocabulary)
    if (path / "cohort.csv").is_file():
        return read_cohort(path / "cohort.csv", root=path if root is None else root, vocabulary=vocabulary)
    root = path if root is None else Path(root)
    images, labels = _found(path)
    covered = _covered(labels)
    text = cohort_text(_rows(images, labels, root, covered))
    table = None if table is None else Path(table)
    if table is not None:
        _write_or_compare(table, text, path)
    cohort = parse_cohort(text, path=table or path, root=root, vocabulary=vocabulary)
    return replace(cohort, issues=(*cohort.issues, *_findings(images, labels, path, covered)))


@dataclass(frozen=True)
class _Image:
    """A CT of the folder; its `case_id` is the name of the label map if there is one."""

    case_id: str
    file: Path
    label: Path | None


def _found(folder: Path) -> tuple[list[_Image], dict[str, Path]]:
    """Return the CT scans of the folder, and its label maps by case."""
    layouts = {names: files for names in _LAYOUTS if (files := _two_folders(folder, *names))}
    if any(files := _one_folder(folder)):
        layouts["X.nii.gz", f"X{LABEL_SUFFIX}.nii.gz"] = files
    if len(layouts) > 1:
        found = " and ".join(", ".join(names) for names in layouts)
        raise InputError(Issue("LS-COH-032", f"folder has two layouts, expected one: {found}", _IMPORT, file=folder))
    if not layouts:
        raise InputError(_no_images(folder))
    ((scans, labels),) = layouts.values()
    images = []
    for file in scans:
        name = strip_suffix(file.name) or ""
        bare = name.removesuffix(_CHANNEL)
        case_id = bare if name not in labels and bare in labels else name
        images.append(_Image(case_id, file, labels.get(case_id)))
    return images, labels


def _two_folders(folder: Path, images: str, labels: str) -> tuple[list[Path], dict[str, Path]] | None:
    files = _nifti(folder / images)
    if not files:
        return None
    names = [strip_suffix(file.name) or "" for file in files]
    known = {*names, *(name.removesuffix(_CHANNEL) for name in names)}
    found = label_files(folder / labels, known) if (folder / labels).is_dir() else {}
    if several := [several_files(name, own) for name, own in found.items() if len(own) > 1]:
        raise InputError(several)
    return files, {name: file for name, (file,) in found.items() if not file.is_dir()}


def _one_folder(folder: Path) -> tuple[list[Path], dict[str, Path]]:
    named = {file: strip_suffix(file.name) or "" for file in _nifti(folder)}
    labels = {name.removesuffix(LABEL_SUFFIX): file for file, name in named.items() if name.endswith(LABEL_SUFFIX)}
    return [file for file, name in named.items() if not name.endswith(LABEL_SUFFIX)], labels


def _nifti(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    # a broken link is kept, so that it is reported when it is read
    return [file for file in files if strip_suffix(file.name) and not file.name.startswith(".") and not file.is_dir()]


def _rows(
    images: list[_Image], labels: Mapping[str, Path], root: Path, covered: tuple[str, ...] | None
) -> Iterator[dict[str, str]]:
    for image in images:
        if not _is_text(image):
            continue
        row = {"case_id": image.case_id, "patient_id": image.case_id, "image": os.path.relpath(image.file, root)}
        if labels:
            row["label"] = os.path.relpath(image.label, root) if image.label else ""
        own = None if image.label is None else stated_coverage(image.label)
        if covered is not None or own is not None:
            known = [key for key in covered or ORGAN_KEYS if own is None or organ(key) in own]
            row["labelled_structures"] = ";".join(known)
        yield row


def _is_text(image: _Image) -> bool:
    """Whether the file names are UTF-8; file systems allow other bytes."""
    try:
        f"{image.file.name} {image.label and image.label.name}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _covered(labels: Mapping[str, Path]) -> tuple[str, ...] | None:
    """Return the organs that a file beside the label maps names; None without such a file.

    Raises:
        InputError: LS-COH-035 it gives other label values than those of liverspleen, or cannot be used.
    """
    files = stated_files(next(iter(labels.values())).parent) if labels else []
    if not files:
        return None
    try:
        stated = read_names(files[0])
    except UnusableNamesError as error:
        hint = "correct the file, or use liverspleen import source=nifti with label_values="
        raise InputError(Issue("LS-COH-035", f"the file of label values {error}", hint, file=files[0])) from None
    names, own = stated.names, {int(organ(key)): key for key in ORGAN_KEYS}
    if not names or not names.items() <= own.items():
        found, expected = (", ".join(f"{value} {name}" for value, name in sorted(v.items())) for v in (names, own))
        message = f"label values are {found or 'of no organ'}, expected {expected}"
        hint = "import the dataset with liverspleen import, which translates the values"
        raise InputError(Issue("LS-COH-035", message, hint, file=files[0]))
    return tuple(names[value] for value in sorted(names))


def _findings(
    images: list[_Image], labels: Mapping[str, Path], folder: Path, covered: tuple[str, ...] | None
) -> Iterator[Issue]:
    organs = " and ".join(covered or ORGAN_KEYS)
    message = f"folder has no cohort.csv: each CT counts as its own patient, and {organs} as labelled in each label map"
    hint = "write a cohort.csv if a patient has several CT scans, or if label maps show fewer organs"
    yield Issue("LS-COH-030", message, hint, file=folder, severity="warning")
    for image in images:
        if not _is_text(image):
            message = "name of a CT or label map is not UTF-8"
            yield Issue("LS-COH-037", message, "rename the file", file=image.file)
    if labels and (unlabelled := [image.case_id for image in images if image.label is None]):
        number = f"{len(unlabelled)} of {len(images)} CT scans"
        message = f"label maps of the same name are missing for {number} ({_some(unlabelled)})"
        yield Issue("LS-COH-033", message, "correct the names if label maps exist", file=folder, severity="warning")
    for name in sorted(labels.keys() - {image.case_id for image in images}):
        message = "label map has no CT of the same name"
        yield Issue("LS-COH-034", message, "correct the name, or remove the file", name, labels[name])


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")


def _no_images(folder: Path) -> Issue:
    files = islice((file for file in folder.rglob("*") if file.is_file()), _MOST_TESTED_FILES)
    if any(_is_dicom(file) for file in files):
        hint = f"import it first: liverspleen import source=dicom input={folder} output=..."
        return Issue("LS-COH-031", "folder has DICOM files, expected a cohort.csv or NIfTI", hint, file=folder)
    layouts = ", ".join("/ and ".join(names) + "/" for names in _LAYOUTS)
    message = f"folder has neither a cohort.csv nor .nii.gz or .nii files, directly or in {layouts}"
    return Issue("LS-COH-031", message, f"correct the path, {_IMPORT}", file=folder)


def _is_dicom(file: Path) -> bool:
    if file.suffix.lower() == ".dcm":
        return True
    try:
        with file.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _write_or_compare(table: Path, text: str, folder: Path) -> None:
    """Write the table; an existing table must be the same."""
    if not table.exists():
        write_text(table, text)
        return
    before, after = set(table.read_text(encoding="utf-8").splitlines()), set(text.splitlines())
    if before != after:
        changes = f"rows added: {len(after - before)}, rows removed: {len(before - after)}"
        message = f"files of '{folder}' differ from this table ({changes})"
        raise InputError(Issue("LS-COH-036", message, "restore the files, or choose another output=", file=table))
