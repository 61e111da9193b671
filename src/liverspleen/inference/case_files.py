"""The files of a predicted case, and what its sidecar says of them."""

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
"""Folder of what is rejected, one file per case: other tasks that share the cases must know that it is not missing."""

_LEFT_BEHIND_S: Final = 3600.0  # nothing takes so long to be written
_OF_THE_CASE: Final = ("patient_id", "dataset", "condition", "site")


@dataclass(frozen=True)
class CaseFiles:
    """Where the results of a case lie; the label map is there only if all the others are, and are its own."""

    folder: Path
    case_id: str

    @property
    def label_map(self) -> Path:
        """On the grid of the CT."""
        return self.folder / f"{self.case_id}{DSEG}{SUFFIXES[0]}"

    @property
    def sidecar(self) -> Path:
        """What made the label map, and what it shows."""
        return self.folder / f"{self.case_id}{DSEG}.json"

    @property
    def picture(self) -> Path:
        """For a glance."""
        return self.folder / f"{self.case_id}{DSEG}.png"

    @property
    def segmentation(self) -> Path:
        """As DICOM-SEG, of DICOM."""
        return self.folder / f"{self.case_id}{DSEG}.dcm"

    @property
    def rejection(self) -> Path:
        """Why there is no label map."""
        return self.folder / REJECTED / f"{self.case_id}.json"

    @property
    def other_names(self) -> tuple[Path, ...]:
        """Files that label maps of the case would have elsewhere; beside ours they would be a second one."""
        return (*(self.folder / f"{self.case_id}{s}" for s in SUFFIXES), self.label_map.with_suffix(""))


@dataclass(frozen=True)
class Settings:
    """All that decides about voxels besides the bytes of the CT."""

    model_sha256: str
    engine: str
    precision: str
    flips: bool
    postprocessing: Mapping[str, str] = field(default_factory=dict)

    def agree(self, stated: object) -> bool:
        """Whether a sidecar or a rejection states these; `auto` stands for whichever precision the device had."""
        if not isinstance(stated, Mapping):
            return False
        asked = asdict(self)
        ignored = {"precision"} if self.precision == "auto" else set()
        return all(stated.get(name) == value for name, value in asked.items() if name not in ignored)


@dataclass(frozen=True)
class Sidecar:
    """What the sidecar of a label map states."""

    content: Mapping[str, Any]
    measurements: tuple[Measurement, ...]

    @property
    def case_id(self) -> str:
        """Of the case."""
        return str(self.content["case_id"])

    def of(self, case: Case) -> Sidecar:
        """The same with patient, dataset, condition and site as the case has them now."""
        about = {name: getattr(case, name) for name in _OF_THE_CASE}
        rows = [{**asdict(row), **about} for row in self.measurements]
        return Sidecar({**self.content, "measurements": rows}, tuple(Measurement(**row) for row in rows))

    def is_of(self, label_map: Path) -> bool:
        """Whether the label map is the one that it was written with, and not one that was edited since."""
        stated: Mapping[str, str] = self.content["files"]
        return sha256_of(label_map) == stated.get(label_map.name)

    def write(self, file: Path) -> None:
        """Write it, complete or not at all."""
        write_json(file, {**self.content, "measurements": [asdict(row) for row in self.measurements]})


def read_sidecar(file: Path) -> Sidecar | None:
    """The sidecar in a file; None if there is none that `liverspleen predict` wrote.

    Raises:
        InputError: LS-FMT-001 a sidecar of another format.
    """
    content = read_plain(file)
    case_id = content.get("case_id") if content else None
    if content is None or not isinstance(case_id, str) or f"{case_id}{DSEG}.json" != file.name:
        return None
    SIDECAR.check(content.get("format"), file.name, case_id=case_id)
    known = {item.name for item in fields(Measurement)}
    if not isinstance(content.get("files"), dict):
        return None
    rows = content.get("measurements")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() == known for row in rows):
        return None
    return Sidecar(content, tuple(Measurement(**row) for row in rows))


def read_plain(file: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def sidecars(folder: Path) -> tuple[list[Sidecar], list[Issue]]:
    """Those in a folder whose label map is there, in the order of the case_ids; and LS-FMT-001 of other formats."""
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
    """Why cases of a folder are rejected, by case, in the order of the case_ids; of other formats, that they are."""
    found: dict[str, list[str]] = {}
    for file in (folder / REJECTED).glob("*.json"):
        content = read_plain(file)
        if not content or not isinstance(case_id := content.get("case_id"), str):
            continue
        other = SIDECAR.issue(content.get("format"), f"{REJECTED}/{file.name}")
        found[case_id] = [str(other)] if other else [line for _, line in content.get("issues", ())]
    return dict(sorted(found.items()))


def remove_left_behind(folder: Path) -> None:
    """Remove unfinished files of runs that were killed; young ones may be those of another task."""
    for file in folder.glob(".part-*"):
        try:
            if time.time() - file.stat().st_mtime > _LEFT_BEHIND_S:
                file.unlink()
        except FileNotFoundError:  # another task was first
            continue
