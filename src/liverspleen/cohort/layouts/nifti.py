"""NIfTI: CT scans and label maps that are paired by their names, or by a table of pairs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from liverspleen.cohort.image_files import (
    NiftiFile,
    case_names,
    divided,
    in_case_folders_or_not,
    nifti_file,
    nifti_files,
    under,
)
from liverspleen.cohort.layouts.pairs_file import pairs_of
from liverspleen.cohort.layouts.source import (
    TEST,
    Exclusion,
    Found,
    NiftiLabels,
    NiftiScan,
    Request,
    SourceCase,
    nifti_labels,
    no_label_used,
    skipped_files_of,
)
from liverspleen.cohort.pairing import Pairing, pair
from liverspleen.cohort.skipped_files import skipped_files
from liverspleen.errors import InputError, Issue, Severity, counted

_PAIRS = "give the pairs by pairs=, a table with the columns image and label"


def find(request: Request) -> Found:
    """Find the CT scans of the input, which may be a single file, and their label maps.

    The label maps are those of `labels=`, or without it those in the input if `label_values=` is given. `pairs=` gives
    CT scans and label maps instead of their names.

    Raises:
        InputError: LS-IMP-002 there is no CT, LS-IMP-001 `labels=` does not exist, LS-IMP-040 there are label maps or
            label values, and no CT has a label map; as `pairs_of` and `nifti_labels`.
    """
    if request.pairs is not None:
        cases, notes = pairs_of(request)
        return Found(cases, notes=(*notes, *skipped_files_of(request, cases, (), notes)))
    images, labels = _files(request)
    if not images:
        missing = Issue("LS-IMP-002", "input= has no CT in an image file", "give the folder of the images")
        read = {file.path for file in labels}
        raise InputError([missing, *(i for folder in _folders(request) for i in skipped_files(folder, read))])
    pairing = _paired(request, images, labels)
    content = _Content(request, images, pairing, case_names(images))
    read = {file.path for file in (*images, *labels)}
    skipped = [i for folder in _folders(request) for i in skipped_files(folder, read)]
    return Found(tuple(content.cases()), tuple(content.excluded()), (*content.notes(), *skipped))


def _files(request: Request) -> tuple[list[NiftiFile], list[NiftiFile]]:
    """Return the CT scans of the input, and the label maps of `labels=` or else of the input."""
    labels = request.labels
    single = nifti_file(request.input, PurePath(request.input.name)) if request.input.is_file() else None
    if single is not None:
        images, beside = [single], list[NiftiFile]()
    else:
        images, beside = divided(in_case_folders_or_not(_below(request.input, labels)))
    if labels is None or (single is None and os.path.realpath(labels) == os.path.realpath(request.input)):
        return images, beside
    if labels.is_dir():
        own = {file.path for file in images}
        return images, under(labels.name, (file for file in nifti_files(labels) if file.path not in own))
    single = nifti_file(labels, PurePath(labels.name)) if labels.is_file() else None
    if single is not None and len(images) == 1:
        return images, [single]
    message = "labels= is not a folder, expected a folder, or a file if there is a single CT"
    raise InputError(Issue("LS-IMP-001", message, "correct the path"))


def _folders(request: Request) -> Iterator[Path]:
    """Yield the folders that are searched for files; none of them is below another one."""
    given = {folder for folder in (request.input, request.labels) if folder is not None and folder.is_dir()}
    yield from sorted(f for f in given if not any(f != other and f.is_relative_to(other) for other in given))


def _below(folder: Path, labels: Path | None) -> Iterator[NiftiFile]:
    """Yield the image files of the input that are not below a folder `labels=` inside it."""
    for file in nifti_files(folder):
        if labels is None or labels == folder or not file.path.is_relative_to(labels) or folder.is_relative_to(labels):
            yield file


def _paired(request: Request, images: Sequence[NiftiFile], labels: Sequence[NiftiFile]) -> Pairing:
    if not wants_labels(request):
        return Pairing({}, channels=pair(images, ()).channels, unused=tuple(labels))
    if request.labels is not None and request.labels.is_file():
        return Pairing(dict(zip(images, labels, strict=True)))
    pairing = pair(images, labels)
    if not pairing.label_of and not pairing.unclear and not pairing.channels:
        raise no_label_used(request, [file.path for file in labels], "by its name", _PAIRS)
    return pairing


def wants_labels(request: Request) -> bool:
    """Return whether label maps are to be imported: their folder, or the meaning of their values, is given."""
    return request.labels is not None or request.meaning is not None


@dataclass(frozen=True)
class _Content:
    """Paired files of a source, with the names of its cases."""

    request: Request
    images: Sequence[NiftiFile]
    pairing: Pairing
    names: Mapping[NiftiFile, str]

    @cached_property
    def label_maps(self) -> tuple[Mapping[Path, NiftiLabels], tuple[Issue, ...]]:
        """The paired label maps by file, and warnings about the meaning of their values."""
        return nifti_labels(self.request, (label.path for label in self.pairing.label_of.values()))

    def cases(self) -> Iterator[SourceCase]:
        """Yield the CT scans that are neither unclear nor channels, with their label maps."""
        label_of = self.pairing.label_of
        several, excluded = self._several(), self._excluded_files()
        for image in self.images:
            if image in excluded:
                continue
            name, label = self.names[image], label_of.get(image)
            labels = self.label_maps[0][label.path] if label else None
            facts = {"dataset": TEST} if image.subset == "Ts" else {}
            patient = image.case if image.case in several else name
            yield SourceCase(name, patient, NiftiScan(image.path), labels, facts)

    def excluded(self) -> Iterator[Exclusion]:
        """Yield an exclusion for each case whose files are unclear, with all of them."""
        for images, issue in self._groups():
            for name in dict.fromkeys(self.names[image] for image in images):
                yield Exclusion(name, issue)

    def notes(self) -> Iterator[Issue]:
        """Yield label maps without CT, CT scans without label map, and folders with several CT scans."""
        yield from self._shared_folders()
        unused = self.pairing.unused
        if not wants_labels(self.request):
            if unused:
                verb = "is" if len(unused) == 1 else "are"
                message = f"{counted(len(unused), 'label map')} of the input {verb} not read"
                hint = "give the meaning of their values by label_values= to read them"
                yield _listed("LS-IMP-026", message, hint, unused, "warning")
            return
        yield from self.label_maps[1]
        given = self.request.labels is not None
        for file in unused:
            severity: Severity = "error" if given else "warning"
            yield _listed("LS-IMP-006", "label map has no CT of the same name", _PAIRS, [file], severity)
        excluded = self._excluded_files()
        for image in self.images:
            if image not in self.pairing.label_of and image not in excluded:
                message = "CT has no label map of the same name"
                yield _listed("LS-IMP-005", message, "add the missing label map", [image], "warning")

    def _shared_folders(self) -> Iterator[Issue]:
        """Yield the warning LS-IMP-045 for folders with several CT scans whose patients the covariates do not give."""
        with_patient = {row["source"] for row in self.request.covariate_rows if row["patient"]}
        for folder in sorted(self._several()):
            message = "several CT scans are in one folder, and count as examinations of one patient"
            own = [image for image in self.images if image.case == folder]
            if with_patient.issuperset(self.names[image] for image in own):
                continue
            hint = "give the patients by covariates= if they are of several patients"
            yield _listed("LS-IMP-045", message, hint, own, "warning")

    def _excluded_files(self) -> set[NiftiFile]:
        return {file for images, _ in self._groups() for file in images}

    def _several(self) -> set[str]:
        """The folders with several CT scans."""
        in_folder = Counter(image.case for image in self.images if image.case)
        return {folder for folder, number in in_folder.items() if number > 1}

    def _groups(self) -> Iterator[tuple[Sequence[NiftiFile], Issue]]:
        """Yield CT scans that are excluded together, with the reason."""
        same: dict[tuple[str, str, str], list[NiftiFile]] = {}
        for image in self.images:
            same.setdefault((image.subset, image.case, image.name), []).append(image)
        unclear = [*self.pairing.unclear]
        known = {file for images, _ in unclear for file in images}
        unclear += [(tuple(files), ()) for files in same.values() if len(files) > 1 and known.isdisjoint(files)]
        for images, labels in unclear:
            if labels:
                scans, maps = counted(len(images), "CT scan"), counted(len(labels), "label map")
                message, hint = f"{scans} and {maps} fit each other by their names, expected one of each", _PAIRS
            else:
                message, hint = f"case has {len(images)} files, expected one", "keep one"
            yield images, _listed("LS-IMP-007", message, hint, [*images, *labels], "error")
        for channels in self.pairing.channels:
            message = f"files look like {len(channels)} channels of one case, expected one (CT)"
            hint = "keep only the CT channel, or rename the files if they are different cases"
            yield channels, _listed("LS-IMP-008", message, hint, channels, "error")


def _listed(code: str, message: str, hint: str, files: Sequence[NiftiFile], severity: Severity) -> Issue:
    first, *others = (file.path for file in files)
    most = 5 if severity == "error" else 2
    return Issue(code, message, hint, file=first, severity=severity, further_files=tuple(others[:most]))
