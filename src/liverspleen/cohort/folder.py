"""A folder of images as a cohort: CT and label maps paired by their names; nothing is copied."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from liverspleen.cohort.label_names import label_files, several_files
from liverspleen.cohort.manifest import Cohort, cohort_text, parse_cohort, read_cohort
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.nifti import strip_suffix
from liverspleen.organs import ORGAN_KEYS, organ
from liverspleen.storage import StrPath, write_text

LABEL_SUFFIX = "_label"
"""How the name of a label map beside its CT ends."""

_LAYOUTS = (("images", "labels"), ("imagesTr", "labelsTr"))
_CHANNEL = "_0000"  # of nnU-Net's only channel
_LISTED = 5
_LOOKED_AT = 100  # files, for what a folder holds instead
_IMPORT = "import it with liverspleen import, or write a cohort.csv"


def open_cohort(
    path: StrPath, *, root: StrPath | None = None, vocabulary: Vocabulary | None = None, table: StrPath | None = None
) -> Cohort:
    """The cohort in a `cohort.csv`, in a folder that holds one, or of a folder of images.

    A folder of images is `images/` and `labels/`, or `imagesTr/` and `labelsTr/`, with files of the same names (but for
    nnU-Net's `_0000` and the `_dseg` of our own predictions), or `X.nii.gz` beside `X_label.nii.gz`. Label maps hold
    our own values. Every CT counts as a patient of its own, which a warning says. The table that says all this is
    written to `table` if that is given.

    Raises:
        InputError: as `read_cohort`; LS-COH-031 the folder holds no images, or DICOM, LS-COH-032 two layouts,
            LS-COH-035 its dataset.json gives other label values, LS-COH-036 `table` is there and differs; LS-LAB-007
            a CT has two label maps. A name that is no
            text is among the issues of the cohort (LS-COH-037).
    """
    path = Path(path)
    if not path.is_dir():
        return read_cohort(path, root=root, vocabulary=vocabulary)
    if (path / "cohort.csv").is_file():
        return read_cohort(path / "cohort.csv", root=path if root is None else root, vocabulary=vocabulary)
    root = path if root is None else Path(root)
    images, labels = _found(path)
    covered = _covered(path / "dataset.json")
    text = cohort_text(_rows(images, labels, root, covered))
    table = None if table is None else Path(table)
    if table is not None:
        _keep(table, text, path)
    cohort = parse_cohort(text, path=table or path, root=root, vocabulary=vocabulary)
    return replace(cohort, issues=(*cohort.issues, *_findings(images, labels, path, covered)))


@dataclass(frozen=True)
class _Image:
    """A CT of the folder; `case_id` is the name of its label map, if it has one."""

    case_id: str
    file: Path
    label: Path | None


def _found(folder: Path) -> tuple[list[_Image], dict[str, Path]]:
    """The CT images of the folder's layout, and its label maps by case."""
    layouts = {names: sides for names in _LAYOUTS if (sides := _two_folders(folder, *names))}
    if any(beside := _beside(folder)):
        layouts["X.nii.gz", f"X{LABEL_SUFFIX}.nii.gz"] = beside
    if len(layouts) > 1:
        found = " and ".join(", ".join(names) for names in layouts)
        raise InputError(Issue("LS-COH-032", f"folder has two layouts: {found}", _IMPORT, file=folder))
    if not layouts:
        raise InputError(_no_images(folder))
    ((files, labels),) = layouts.values()
    images = []
    for file in files:
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
    if twice := [several_files(name, drawn) for name, drawn in found.items() if len(drawn) > 1]:
        raise InputError(twice)
    return files, {name: file for name, (file,) in found.items() if not file.is_dir()}


def _beside(folder: Path) -> tuple[list[Path], dict[str, Path]]:
    named = {file: strip_suffix(file.name) or "" for file in _nifti(folder)}
    labels = {name.removesuffix(LABEL_SUFFIX): file for file, name in named.items() if name.endswith(LABEL_SUFFIX)}
    return [file for file, name in named.items() if not name.endswith(LABEL_SUFFIX)], labels


def _nifti(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    # a link to nowhere stays: it is rejected when read, not left out without a word
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
        if covered is not None:
            row["labelled_structures"] = ";".join(covered)
        yield row


def _is_text(image: _Image) -> bool:
    """Whether its names are UTF-8; a file system holds any bytes."""
    try:
        f"{image.file.name} {image.label and image.label.name}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _covered(file: Path) -> tuple[str, ...] | None:
    """The organs that nnU-Net's or MSD's `dataset.json` says are labelled; None if there is none."""
    if not file.is_file():
        return None
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))["labels"]
        # nnU-Net 2 has {"liver": 1}, nnU-Net 1 and MSD {"1": "liver"}
        values = dict((word, name) if str(word).isdigit() else (name, word) for word, name in stated.items())
        values = {int(value): str(name).lower() for value, name in values.items() if int(value)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"label values cannot be read from it ({type(error).__name__})"
        raise InputError(Issue("LS-COH-035", message, f"{_IMPORT}, without it", file=file)) from error
    own = {int(organ(key)): key for key in ORGAN_KEYS}
    if not values or not values.items() <= own.items():
        found, expected = (", ".join(f"{value} {name}" for value, name in sorted(v.items())) for v in (values, own))
        message = f"label maps hold {found or 'no organ'}, expected {expected}"
        raise InputError(Issue("LS-COH-035", message, f"{_IMPORT} whose label maps have these values", file=file))
    return tuple(values[value] for value in sorted(values))


def _findings(
    images: list[_Image], labels: Mapping[str, Path], folder: Path, covered: tuple[str, ...] | None
) -> Iterator[Issue]:
    organs = " and ".join(covered or ORGAN_KEYS)
    message = (
        f"each of the {len(images)} CTs counts as a patient of its own, and {organs} as labelled in each label map"
    )
    hint = "write a cohort.csv if a patient has several, or a label map shows less"
    yield Issue("LS-COH-030", message, hint, file=folder, severity="warning")
    for image in images:
        if not _is_text(image):
            message = "the name of a CT or label map is no UTF-8, which a table cannot hold"
            yield Issue("LS-COH-037", message, "rename it", file=image.file)
    if labels and (bare := [image.case_id for image in images if image.label is None]):
        message = f"{len(bare)} of {len(images)} CTs have no label map of their name ({_some(bare)}), and teach nothing"
        yield Issue("LS-COH-033", message, "correct the names if they have one", file=folder, severity="warning")
    for name in sorted(labels.keys() - {image.case_id for image in images}):
        message = "label map has no CT of its name"
        yield Issue("LS-COH-034", message, "correct the name or remove it", name, labels[name])


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")


def _no_images(folder: Path) -> Issue:
    looked_at = islice((file for file in folder.rglob("*") if file.is_file()), _LOOKED_AT)
    if any(_is_dicom(file) for file in looked_at):
        hint = f"import it first: liverspleen import source=dicom input={folder} output=..."
        return Issue("LS-COH-031", "folder holds DICOM", hint, file=folder)
    layouts = ", ".join("/ and ".join(names) + "/" for names in _LAYOUTS)
    message = f"folder has neither a cohort.csv nor .nii.gz or .nii files, in it or in {layouts}"
    return Issue("LS-COH-031", message, f"correct the path, {_IMPORT}", file=folder)


def _is_dicom(file: Path) -> bool:
    if file.suffix.lower() == ".dcm":
        return True
    try:
        with file.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _keep(table: Path, text: str, folder: Path) -> None:
    """Write the table, unless it is there; then it must be the same."""
    if not table.exists():
        write_text(table, text)
        return
    before, after = set(table.read_text(encoding="utf-8").splitlines()), set(text.splitlines())
    if before != after:
        message = f"it is not what '{folder}' holds now: {len(after - before)} rows are new, {len(before - after)} gone"
        raise InputError(Issue("LS-COH-036", message, "bring the files back, or choose another output=", file=table))
