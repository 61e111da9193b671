"""The files of a predicted case, and the content of its sidecar."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.label_names import DSEG
from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.formats import SIDECAR
from liverspleen.imaging.nifti import SUFFIXES
from liverspleen.storage import sha256_of, write_json

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
        """Return this sidecar with the patient, dataset, condition and site of `case`."""
        columns = {name: getattr(case, name) for name in _CASE_COLUMNS}
        rows = [{**asdict(row), **columns} for row in self.measurements]
        return Sidecar({**self.content, "measurements": rows}, tuple(Measurement(**row) for row in rows))

    def is_of(self, label_map: Path) -> bool:
        """Return whether the label map is unchanged since the sidecar was written."""
        stated: Mapping[str, str] = self.content["files"]
        return sha256_of(label_map) == stated.get(label_map.name)

    def write(self, file: Path) -> None:
        """Write the sidecar to a file that is complete or absent."""
        write_json(file, {**self.content, "measurements": [asdict(row) for row in self.measurements]})


def read_sidecar(file: Path) -> Sidecar | None:
    """Read a sidecar; return None if the file is missing or was not written by `liverspleen predict`.

    Raises:
        InputError: LS-FMT-001 a sidecar of another format.
    """
    content = read_object(file)
    case_id = content.get("case_id") if content else None
    if content is None or not isinstance(case_id, str) or f"{case_id}{DSEG}.json" != file.name:
        return None
    SIDECAR.check(content.get("format"), file.name, case_id=case_id)
    known = {item.name for item in fields(Measurement)}
    if not isinstance(content.get("files"), dict) or not isinstance(content.get("covered"), list):
        return None
    rows = content.get("measurements")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() == known for row in rows):
        return None
    return Sidecar(content, tuple(Measurement(**row) for row in rows))


def read_object(file: Path) -> dict[str, Any] | None:
    """Read the JSON object in a file; return None if there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def sidecars(folder: Path) -> tuple[list[Sidecar], list[Issue]]:
    """Return the sidecars of the label maps in a folder, sorted by case_id, and an LS-FMT-001 per other format."""
    found: list[Sidecar] = []
    issues: list[Issue] = []
    for file in sorted(folder.glob(f"*{DSEG}.json")):
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
    """Return the reasons of the rejected cases in a folder, sorted by case_id; for another format its LS-FMT-001."""
    found: dict[str, list[str]] = {}
    for file in (folder / REJECTED).glob("*.json"):
        content = read_object(file)
        if not content or not isinstance(case_id := content.get("case_id"), str):
            continue
        other = SIDECAR.issue(content.get("format"), f"{REJECTED}/{file.name}")
        found[case_id] = [str(other)] if other else [line for _, line in content.get("issues", ())]
    return dict(sorted(found.items()))


def remove_unfinished(folder: Path) -> None:
    """Remove unfinished files of killed runs; a file younger than an hour may belong to a running task and is kept."""
    for file in folder.glob(".part-*"):
        try:
            if time.time() - file.stat().st_mtime > _UNFINISHED_S:
                file.unlink()
        except FileNotFoundError:  # another task has removed it
            continue
