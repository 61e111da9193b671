"""The files of a predicted case, and the content of its sidecar."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.composition import measured_origin
from liverspleen.cohort.label_names import DSEG, PREDICT_AGAIN
from liverspleen.cohort.manifest import Case
from liverspleen.cohort.probability_files import PROBABILITY
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.formats import SIDECAR
from liverspleen.imaging.nifti import SUFFIXES
from liverspleen.organs import ORGANS, Structure
from liverspleen.records import CHECKSUM, DamagedRecordError, damaged, opened, parsed, write_record
from liverspleen.storage import sha256_of

REJECTED: Final = "rejected"
"""Folder with one file per rejected case, so that tasks of other shards know that the case is not missing."""

_UNFINISHED_S: Final = 3600.0  # no file takes this long to be written
_CASE_COLUMNS: Final = ("patient_id", "dataset", "condition", "site")


@dataclass(frozen=True)
class CaseFiles:
    """Paths of the results of a case; a label map exists only if all its other files exist and belong to it."""

    folder: Path
    case_id: str

    @property
    def label_map(self) -> Path:
        """The label map, on the grid of the CT."""
        return self.folder / f"{self.case_id}{DSEG}{SUFFIXES[0]}"

    @property
    def sidecar(self) -> Path:
        """Settings, hashes, volumes and review of the label map."""
        return self.folder / f"{self.case_id}{DSEG}.json"

    @property
    def picture(self) -> Path:
        """Preview image."""
        return self.folder / f"{self.case_id}{DSEG}.png"

    @property
    def segmentation(self) -> Path:
        """DICOM-SEG, only for a CT that was read from DICOM."""
        return self.folder / f"{self.case_id}{DSEG}.dcm"

    @property
    def report(self) -> Path:
        """Measurements as DICOM structured report; it exists if the DICOM-SEG exists."""
        return self.folder / f"{self.case_id}_measurements.dcm"

    def probability(self, organ: Structure) -> Path:
        """Probability map of an organ, on the grid of the CT."""
        return self.folder / f"{self.case_id}_{organ.key}{PROBABILITY}{SUFFIXES[0]}"

    @property
    def fractional(self) -> Path:
        """Probabilities as fractional DICOM-SEG, only for a CT that was read from DICOM."""
        return self.folder / f"{self.case_id}{PROBABILITY}.dcm"

    @property
    def probabilities(self) -> tuple[Path, ...]:
        """All files with probabilities that the case may have."""
        return (*map(self.probability, ORGANS), self.fractional)

    @property
    def rejection(self) -> Path:
        """Reason for the rejection of the case."""
        return self.folder / REJECTED / f"{self.case_id}.json"

    @property
    def other_names(self) -> tuple[Path, ...]:
        """Other common names of a label map of the case; with such a file the case would have two label maps."""
        return (*(self.folder / f"{self.case_id}{s}" for s in SUFFIXES), self.label_map.with_suffix(""))


@dataclass(frozen=True)
class Settings:
    """Everything that determines the voxels of a label map, except the CT itself."""

    model_sha256: str
    engine: str
    precision: str
    flips: bool
    postprocessing: Mapping[str, str] = field(default_factory=dict)

    def agree(self, stated: object) -> bool:
        """Return whether the settings of a sidecar or rejection equal these; `auto` agrees with any precision."""
        if not isinstance(stated, Mapping):
            return False
        asked = asdict(self)
        ignored = {"precision"} if self.precision == "auto" else set()
        return all(stated.get(name) == value for name, value in asked.items() if name not in ignored)


@dataclass(frozen=True)
class Sidecar:
    """Content of the sidecar of a label map."""

    content: Mapping[str, Any]
    measurements: tuple[Measurement, ...]

    @property
    def case_id(self) -> str:
        """Identifier of the case."""
        return str(self.content["case_id"])

    def updated(self, case: Case) -> Sidecar:
        """Return this sidecar with the patient, dataset, condition, site and origin of `case`."""
        columns = {**{name: getattr(case, name) for name in _CASE_COLUMNS}, "origin": measured_origin(case)}
        rows = [{**asdict(row), **columns} for row in self.measurements]
        return Sidecar({**self.content, "measurements": rows}, tuple(Measurement(**row) for row in rows))

    def warnings(self, file: str | Path | None = None) -> tuple[Issue, ...]:
        """Return the warnings about the CT, and about a label map without an organ; `file` is the CT in them."""
        stated: Any = self.content["warnings"]
        return tuple(Issue(code, message, hint, self.case_id, file, "warning") for code, message, hint in stated)

    def is_of(self, label_map: Path) -> bool:
        """Return whether the label map is unchanged since the sidecar was written."""
        stated: Mapping[str, str] = self.content["files"]
        return sha256_of(label_map) == stated.get(label_map.name)

    def write(self, file: Path) -> None:
        """Write the sidecar to a file that is complete or absent."""
        write_record(file, {**self.content, "measurements": [asdict(row) for row in self.measurements]})


def read_sidecar(file: Path) -> Sidecar | None:
    """Read a sidecar; return None if the file is missing or was not written by `liverspleen predict`.

    Raises:
        InputError: LS-FMT-001 a sidecar of another format; LS-FMT-005 a damaged one.
    """
    case_id = file.name.removesuffix(f"{DSEG}.json")
    content = _read_own(file, case_id)
    return None if content is None else Sidecar(content, tuple(Measurement(**row) for row in content["measurements"]))


def _read_own(file: Path, case_id: str) -> dict[str, Any] | None:
    """Read the sidecar or rejection of a case; return None if the file is missing or of another program.

    Raises:
        InputError: LS-FMT-001 another format; LS-FMT-005 it is damaged.
    """
    shown = file.name if file.parent.name != REJECTED else f"{REJECTED}/{file.name}"
    try:
        content = parsed(file)
        if isinstance(content, dict) and CHECKSUM not in content and content.get("case_id") != case_id:
            return None
        found = opened(content, shown, SIDECAR)
        if found["case_id"] != case_id:
            raise DamagedRecordError("it is the record of another case")
        return found
    except OSError:
        return None
    except DamagedRecordError as error:
        raise InputError(damaged(shown, str(error), PREDICT_AGAIN, case_id=case_id)) from None
    except InputError as error:
        raise InputError(replace(issue, case_id=case_id) for issue in error.issues) from None


def stated_settings(file: Path, case_id: str) -> object:
    """Return the settings in the sidecar or rejection of a case; None if there are none that can be used."""
    try:
        content = _read_own(file, case_id)
    except InputError:
        return None
    return None if content is None else content["settings"]


def sidecars(folder: Path) -> tuple[list[Sidecar], list[Issue]]:
    """Return the sidecars of the label maps in a folder, sorted by case_id, and the issues of those not readable."""
    found: list[Sidecar] = []
    issues: list[Issue] = []
    for file in sorted(folder.glob(f"[!.]*{DSEG}.json")):
        if not file.with_name(f"{file.stem}{SUFFIXES[0]}").is_file():
            continue
        try:
            sidecar = read_sidecar(file)
        except InputError as error:
            issues.extend(error.issues)
            continue
        if sidecar is not None:
            found.append(sidecar)
    return sorted(found, key=lambda sidecar: sidecar.case_id), issues


def rejections(folder: Path) -> dict[str, list[str]]:
    """Return the reasons of the rejected cases in a folder, sorted by case_id.

    For a file of another format and a damaged file the reason is its LS-FMT-001 or LS-FMT-005.
    """
    found: dict[str, list[str]] = {}
    for file in (folder / REJECTED).glob("[!.]*.json"):
        try:
            content = _read_own(file, file.stem)
        except InputError as error:
            found[file.stem] = [str(issue) for issue in error.issues]
            continue
        if content is not None:
            found[file.stem] = [line for _, line in content["issues"]]
    return dict(sorted(found.items()))


def remove_unfinished(folder: Path) -> None:
    """Remove unfinished files of killed runs; a file younger than an hour may belong to a running task and is kept."""
    for file in folder.glob(".part-*"):
        try:
            if time.time() - file.stat().st_mtime > _UNFINISHED_S:
                file.unlink()
        except FileNotFoundError:  # another task has removed it
            continue
