"""Which DICOM files belong to one series."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from liverspleen.errors import counted
from liverspleen.imaging.dicom.fields import DAMAGED
from liverspleen.imaging.dicom.header import Instance, is_marked
from liverspleen.imaging.dicom.quiet import pydicom
from liverspleen.imaging.dicom.series import Reason
from liverspleen.imaging.dicom.stack import SAME_MM, by_plane

COPIES = "LS-DCM-063"
_ALONE = 3  # files of one folder with a series UID each: fewer may be single images of an examination

Kind = Callable[[Instance], str]
"""What an image is, such as a slice or a localizer; images of different kinds are never one series."""


def by_uid(instances: Iterable[Instance], kind: Kind) -> list[list[Instance]]:
    """Return the instances of each series: those of one kind with one SeriesInstanceUID.

    Without the UID, StudyInstanceUID and folder identify the series.
    """
    groups: dict[tuple[str, ...], list[Instance]] = defaultdict(list)
    for instance in instances:
        key = (instance.series_uid,) if instance.series_uid else ("", instance.study_uid, instance.folder)
        groups[(*key, kind(instance))].append(instance)
    return [group for _, group in sorted(groups.items())]


def by_folder(instances: Iterable[Instance], kind: Kind) -> list[list[Instance]]:
    """Return the instances of each series: those of one kind, folder, plane and matrix, without the UID of a series.

    They keep the study if all files of the folder state the same one. PatientIDs are dropped if each file of a series
    has its own; a few different ones are kept, so that the folder is recognized as mixed.
    """
    folders: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        folders[instance.folder].append(instance)
    found = []
    for _, files in sorted(folders.items()):
        studies = {i.study_uid for i in files}
        study = studies.pop() if len(studies) == 1 else ""
        kinds: dict[str, list[Instance]] = defaultdict(list)
        for i in files:
            kinds[kind(i)].append(replace(i, series_uid="", study_uid=study, marks=()))
        found += [_without_own_ids(group) for _, same in sorted(kinds.items()) for group in by_plane(same)]
    return found


def alone(groups: Iterable[Sequence[Instance]]) -> Iterator[list[Instance]]:
    """Yield the slices of one folder and plane, with distinct positions, that are the only one of their group each.

    They are probably one series whose files got a SeriesInstanceUID each. `groups` are groups of slices.
    """
    folders: dict[str, list[Instance]] = defaultdict(list)
    for group in groups:
        if len(group) == 1 and group[0].series_uid and group[0].position:
            folders[group[0].folder].append(group[0])
    for instances in folders.values():
        for plane in by_plane(instances):
            positions = np.array([instance.position for instance in plane])
            distinct = np.unique(np.rint(positions / SAME_MM), axis=0)
            if len(distinct) == len(plane) >= _ALONE:
                yield plane


def without_copies(instances: Sequence[Instance]) -> tuple[list[Instance], list[Reason]]:
    """Return the instances with each one once, and a note if there were several files of one.

    Files are copies if SOPInstanceUID, transfer syntax and all bytes after the file meta information are equal.
    """
    if len({i.identity for i in instances}) == len(instances):
        return list(instances), []
    known: dict[tuple[str, int | None], list[Instance]] = defaultdict(list)
    content = cache(_content)  # of a file with many frames once
    kept = []
    for instance in instances:
        same = known[instance.identity] if instance.instance_uid else []
        if not any(content(instance.path) == content(other.path) for other in same):
            same.append(instance)
            kept.append(instance)
    if len(kept) == len(instances):
        return kept, []
    files, read = ({i.path for i in some} for some in (instances, kept))
    message = f"{counted(len(files - read), 'file')} of {len(files)} repeat another file of the series"
    hint = "no action is needed: each slice counts once"
    return kept, [Reason(COPIES, message, hint, severity="note")]


def _without_own_ids(instances: list[Instance]) -> list[Instance]:
    one_each = len({i.patient_id for i in instances}) == len(instances) > 1
    return [replace(i, patient_id="") for i in instances] if one_each else instances


def _content(path: Path) -> tuple[str, str]:
    """Return transfer syntax and hash of the data set; the path in their place if they cannot be read."""
    try:
        return _read_content(path)
    except DAMAGED:
        return str(path), ""


def _read_content(path: Path) -> tuple[str, str]:
    with path.open("rb") as handle:
        syntax = ""
        if is_marked(handle) == "preamble":
            handle.seek(0)
            pydicom.filereader.read_preamble(handle, force=False)
            syntax = str(pydicom.filereader._read_file_meta_info(handle).get("TransferSyntaxUID", ""))
        else:
            handle.seek(0)
        return syntax, hashlib.file_digest(handle, "sha256").hexdigest()
