"""A folder of images as a cohort: CT scans and label maps are paired by their names; nothing is copied."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from liverspleen.cohort.image_files import NiftiFile, case_names, divided, in_case_folders_or_not, nifti_files
from liverspleen.cohort.label_meaning import UnusableNamesError, read_names, stated_files
from liverspleen.cohort.label_names import several_files, stated_coverage
from liverspleen.cohort.manifest import Cohort, cohort_text, parse_cohort, read_cohort
from liverspleen.cohort.pairing import Pairing, pair
from liverspleen.cohort.skipped_files import is_dicom, skipped_files
from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.errors import InputError, Issue, counted
from liverspleen.organs import ORGAN_KEYS, organ
from liverspleen.reading import read_text
from liverspleen.storage import StrPath, write_text

_MOST_LISTED = 5
_MOST_TESTED_FILES = 100  # for DICOM, in a folder without NIfTI
_IMPORT = "import it with liverspleen import, or write a cohort.csv"


def open_cohort(
    path: StrPath, *, root: StrPath | None = None, vocabulary: Vocabulary | None = None, table: StrPath | None = None
) -> Cohort:
    """Open a cohort: a `cohort.csv`, a folder with a `cohort.csv`, or a folder of images.

    A folder of images has folders such as `images/` and `labels/`, or `imagesTr/` and `labelsTr/`, or
    `X.nii.gz` and `X_label.nii.gz` in one folder, or a folder for each case (`image_files`); CT scans and label maps
    are paired by their names (`pairing`). Label maps have the values of liverspleen. Each CT counts as its own patient
    (warning LS-COH-030), and several in the folder of a case as one patient. The resulting table is written to `table`
    if it is given. A file name that is not UTF-8 is an issue of the cohort (LS-COH-037), and so are files that are not
    read (LS-COH-040).

    Raises:
        InputError: as `read_cohort`; LS-COH-031 the folder has no images, or DICOM, LS-COH-032 two layouts, LS-COH-035
            a file beside its label maps gives other label values, LS-COH-036 `table` exists and differs; LS-LAB-007 a
            CT has two label maps, LS-COH-041 it is unclear which of several CT scans and label maps belong together,
            LS-IMP-008 a case has several channels.
    """
    path = Path(path)
    if not path.is_dir():
        return read_cohort(path, root=root, vocabulary=vocabulary)
    if (path / "cohort.csv").is_file():
        return read_cohort(path / "cohort.csv", root=path if root is None else root, vocabulary=vocabulary)
    root = path if root is None else Path(root)
    images, unused, read = _found(path)
    covered = _covered(images)
    text = cohort_text(_rows(images, root, covered))
    table = None if table is None else Path(table)
    if table is not None:
        _write_or_compare(table, text, path)
    cohort = parse_cohort(text, path=table or path, root=root, vocabulary=vocabulary)
    findings = (*_findings(images, unused, path, covered), *skipped_files(path, read))
    return replace(cohort, issues=(*cohort.issues, *findings))


@dataclass(frozen=True)
class _Image:
    """A CT of the folder, and its label map."""

    case_id: str
    patient_id: str
    file: Path
    label: Path | None


def _found(folder: Path) -> tuple[list[_Image], tuple[NiftiFile, ...], set[Path]]:
    """Return the CT scans of the folder, its label maps without a CT, and all files that were read."""
    training = [file for file in nifti_files(folder) if file.subset in ("", "Tr")]
    images, labels = divided(in_case_folders_or_not(training))
    if not images:
        raise InputError(_no_images(folder, {file.path for file in labels}))
    places = dict.fromkeys(_place(image, folder) for image in images)
    if len(places) > 1:
        message = f"folder has several layouts, expected one: CT scans {' and '.join(places)}"
        raise InputError(Issue("LS-COH-032", message, _IMPORT, file=folder))
    pairing = pair(images, labels)
    if issues := [*_unclear(pairing)]:
        raise InputError(issues)
    names, several = case_names(images), Counter(image.case for image in images if image.case)
    found = []
    for image in images:
        case_id, label = names[image].replace("/", "_"), pairing.label_of.get(image)
        patient = image.case if several[image.case] > 1 else case_id
        found.append(_Image(case_id, patient, image.path, label.path if label else None))
    return found, pairing.unused, {file.path for file in (*images, *labels)}


def _place(image: NiftiFile, folder: Path) -> str:
    if image.place == "case":
        return "in a folder of each case"
    return "in the folder itself" if image.place == "top" else f"in {image.path.relative_to(folder).parts[0]}/"


def _unclear(pairing: Pairing) -> Iterator[Issue]:
    for images, labels in pairing.unclear:
        if len(images) == 1 and len(labels) <= _MOST_LISTED:
            yield several_files(images[0].name, [label.path for label in labels])
            continue
        scans, maps = counted(len(images), "CT scan"), counted(len(labels), "label map")
        message = f"{scans} and {maps} fit each other by their names, expected one of each"
        first, *others = (file.path for file in (*images, *labels)[: 2 * _MOST_LISTED])
        hint = "rename the files, or write a cohort.csv"
        yield Issue("LS-COH-041", message, hint, file=first, further_files=tuple(others))
    for channels in pairing.channels:
        message = f"files look like {len(channels)} channels of one case, expected one (CT)"
        hint = "keep only the CT channel, or write a cohort.csv if they are different cases"
        first, *others = (file.path for file in channels)
        yield Issue("LS-IMP-008", message, hint, file=first, further_files=tuple(others))


def _rows(images: list[_Image], root: Path, covered: tuple[str, ...] | None) -> Iterator[dict[str, str]]:
    labelled = any(image.label for image in images)
    for image in images:
        if not _is_text(image):
            continue
        row = {"case_id": image.case_id, "patient_id": image.patient_id, "image": os.path.relpath(image.file, root)}
        if labelled:
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


def _covered(images: Iterable[_Image]) -> tuple[str, ...] | None:
    """Return the organs that files beside the label maps name; None without such files.

    Raises:
        InputError: LS-COH-035 one gives other label values than those of liverspleen or of another file, or cannot be
            used.
    """
    folders = dict.fromkeys(image.label.parent for image in images if image.label)
    covered = {file: _named_organs(file) for folder in folders for file in stated_files(folder)[:1]}
    if len({*covered.values()}) > 1:
        first, *others = covered
        message, hint = "files of label values name different organs", "write a cohort.csv with labelled_structures"
        raise InputError(Issue("LS-COH-035", message, hint, file=first, further_files=tuple(others[:2])))
    return next(iter(covered.values()), None)


def _named_organs(file: Path) -> tuple[str, ...]:
    """Return the organs that a file of label values names.

    Raises:
        InputError: as `_covered`.
    """
    try:
        names = read_names(file).names
    except UnusableNamesError as error:
        hint = "correct the file, or use liverspleen import source=nifti with label_values="
        raise InputError(Issue("LS-COH-035", f"the file of label values {error}", hint, file=file)) from None
    own = {int(organ(key)): key for key in ORGAN_KEYS}
    if not names or not names.items() <= own.items():
        found, expected = (", ".join(f"{value} {name}" for value, name in sorted(v.items())) for v in (names, own))
        message = f"label values are {found or 'of no organ'}, expected {expected}"
        hint = "import the dataset with liverspleen import, which translates the values"
        raise InputError(Issue("LS-COH-035", message, hint, file=file))
    return tuple(names[value] for value in sorted(names))


def _findings(
    images: list[_Image], unused: Iterable[NiftiFile], folder: Path, covered: tuple[str, ...] | None
) -> Iterator[Issue]:
    organs = " and ".join(covered or ORGAN_KEYS)
    message = f"folder has no cohort.csv: each CT counts as its own patient, and {organs} as labelled in each label map"
    hint = "write a cohort.csv if a patient has several CT scans, or if label maps show fewer organs"
    yield Issue("LS-COH-030", message, hint, file=folder, severity="warning")
    for image in images:
        if not _is_text(image):
            message = "name of a CT or label map is not UTF-8"
            yield Issue("LS-COH-037", message, "rename the file", file=image.file)
    unlabelled = [image.case_id for image in images if image.label is None]
    if unlabelled and len(unlabelled) < len(images):
        number = f"{len(unlabelled)} of {len(images)} CT scans"
        message = f"label maps of the same name are missing for {number} ({_some(unlabelled)})"
        yield Issue("LS-COH-033", message, "correct the names if label maps exist", file=folder, severity="warning")
    for label in unused:
        message = "label map has no CT of the same name"
        yield Issue("LS-COH-034", message, "correct the name, or remove the file", label.name, label.path)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")


def _no_images(folder: Path, labels: set[Path]) -> list[Issue]:
    files = islice((file for file in folder.rglob("*") if file.is_file()), _MOST_TESTED_FILES)
    if any(map(is_dicom, files)):
        hint = f"import it first: liverspleen import source=dicom input={folder} output=..."
        return [Issue("LS-COH-031", "folder has DICOM files, expected a cohort.csv or NIfTI", hint, file=folder)]
    message = "folder has no cohort.csv and no CT (.nii.gz or .nii), directly, in images/ or in a folder of each case"
    missing = Issue("LS-COH-031", message, f"correct the path, {_IMPORT}", file=folder)
    return [missing, *skipped_files(folder, labels)]


def _write_or_compare(table: Path, text: str, folder: Path) -> None:
    """Write the table; an existing table must be the same."""
    if not table.exists():
        write_text(table, text)
        return
    before, after = set(read_text(table).splitlines()), set(text.splitlines())
    if before != after:
        changes = f"rows added: {len(after - before)}, rows removed: {len(before - after)}"
        message = f"files of '{folder}' differ from this table ({changes})"
        raise InputError(Issue("LS-COH-036", message, "restore the files, or choose another output=", file=table))
