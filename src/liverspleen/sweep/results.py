"""Results of a training: DSS and volumes of its last validation, and its time per slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal

from liverspleen.organs import ORGANS, Structure, organ
from liverspleen.reading import read_text
from liverspleen.records import read_runs
from liverspleen.spreadsheet import csv_rows
from liverspleen.storage import sha256_of

OBJECTIVES: Final[Mapping[str, Literal["minimize", "maximize"]]] = {
    "dss": "maximize",
    "volume_bias": "minimize",
    "seconds_per_slice": "minimize",
}
"""Objectives of a search, with their direction."""


@dataclass(frozen=True)
class CaseResult:
    """Result of a structure in a validation case; `dss` is None if it is neither predicted nor present."""

    case_id: str
    structure: Structure
    dss: float | None
    volume_cm3: float
    reference_cm3: float

    @property
    def volume_difference_pct(self) -> float | None:
        """200 (predicted - reference) / (predicted + reference); None if both are 0."""
        total = self.volume_cm3 + self.reference_cm3
        return 200.0 * (self.volume_cm3 - self.reference_cm3) / total if total else None


@dataclass(frozen=True)
class Result:
    """Result of the last validation of a training. The best validation is not used, because chance also selects it.

    >>> rows = [CaseResult("a", Structure.LIVER, 0.9, 110.0, 90.0), CaseResult("b", Structure.LIVER, 0.7, 100.0, 100.0)]
    >>> result = Result((*rows, CaseResult("a", Structure.SPLEEN, 0.6, 9.0, 11.0)), 0.01)
    >>> round(result.dss, 3), result.volume_bias_pct  # mean of 0.8 and 0.6; 10 % for the liver, -20 % for the spleen
    (0.7, -20.0)
    """

    cases: tuple[CaseResult, ...]
    seconds_per_slice: float | None
    training_patients: int | None = None
    training_cases: int | None = None

    def dss_of(self, structure: Structure) -> float | None:
        """Return the mean DSS over the cases that have one; None if no case has one."""
        scores = [case.dss for case in self.cases if case.structure == structure and case.dss is not None]
        return fmean(scores) if scores else None

    @property
    def dss(self) -> float | None:
        """Mean over the organs of their mean DSS; None if it is undefined for every organ."""
        means = [mean for one in ORGANS if (mean := self.dss_of(one)) is not None]
        return fmean(means) if means else None

    @property
    def volume_bias_pct(self) -> float | None:
        """Signed mean percentage volume difference from the reference, of the organ where its size is larger."""
        biases = [bias for one in ORGANS if (bias := self._bias(one)) is not None]
        return max(biases, key=abs, default=None)

    def objective(self, name: str) -> float | None:
        """Return the value of one of `OBJECTIVES`; None if it is undefined."""
        if name == "volume_bias":
            return None if self.volume_bias_pct is None else abs(self.volume_bias_pct)
        value: float | None = getattr(self, name)
        return value

    def _bias(self, structure: Structure) -> float | None:
        own = [case.volume_difference_pct for case in self.cases if case.structure == structure]
        defined = [difference for difference in own if difference is not None]
        return fmean(defined) if defined else None


def pooled(results: Sequence[Result]) -> Result:
    """Return the results of the folds of a cross-validation as one: all cases, and the mean time per slice.

    The numbers of patients and cases that were trained with are those of one training, or unknown.
    """
    if len(results) == 1:
        return results[0]
    times = [one.seconds_per_slice for one in results if one.seconds_per_slice is not None]
    return Result(tuple(case for one in results for case in one.cases), fmean(times) if times else None)


def read_result(run: Path) -> Result:
    """Read the result in the folder of a finished training.

    Raises:
        ValueError: there is no result.
    """
    file = run / "validation.csv"
    if not file.is_file():
        raise ValueError("there is no validation.csv")
    rows = csv_rows(read_text(file))
    try:
        cases = tuple(map(_case, rows))
    except (KeyError, TypeError) as error:
        raise ValueError(f"validation.csv has a row without {error}") from error
    records = run_records(run)
    stated = next((hashes[file.name] for one in records if file.name in (hashes := one.get("outputs", {}))), None)
    if stated is not None and stated != sha256_of(file):
        raise ValueError("validation.csv is not what the training wrote")
    names = ("validation_seconds_per_slice", "training_patients", "training_cases")
    seconds, patients, sizes = (_newest(records, name) for name in names)
    return Result(cases, seconds, None if patients is None else int(patients), None if sizes is None else int(sizes))


def _newest(records: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = (record.get("measured", {}).get(name) for record in records)
    return next((value for value in values if value is not None), None)


def _case(row: Mapping[str, str]) -> CaseResult:
    dss = float(row["dss"]) if row["dss"] else None
    return CaseResult(
        row["case_id"], organ(row["structure"]), dss, float(row["volume_cm3"]), float(row["reference_cm3"])
    )


def run_records(run: Path) -> Sequence[Mapping[str, Any]]:
    """Return the records of the runs in this folder from `run.json`, newest first; empty if there is no such file.

    Raises:
        InputError: as `read_runs`.
    """
    return read_runs(run / "run.json")[::-1]
