"""What a training says of itself: DSS and volumes of its last validation, and its time."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal

from liverspleen.organs import ORGANS, Structure, organ

OBJECTIVES: Final[Mapping[str, Literal["minimize", "maximize"]]] = {
    "dss": "maximize",
    "volume_bias": "minimize",
    "seconds_per_slice": "minimize",
}
"""What a search may aim at, and in which direction Optuna goes."""


@dataclass(frozen=True)
class CaseResult:
    """A structure of a validation case; `dss` is None where it is neither predicted nor there."""

    case_id: str
    structure: Structure
    dss: float | None
    volume_cm3: float
    reference_cm3: float

    @property
    def volume_difference_pct(self) -> float | None:
        """200 (predicted - reference) / (predicted + reference); None where both are 0."""
        total = self.volume_cm3 + self.reference_cm3
        return 200.0 * (self.volume_cm3 - self.reference_cm3) / total if total else None


@dataclass(frozen=True)
class Result:
    """Of a training that ended: its last validation, not its best, which would be selected by chance too.

    >>> rows = [CaseResult("a", Structure.LIVER, 0.9, 110.0, 90.0), CaseResult("b", Structure.LIVER, 0.7, 100.0, 100.0)]
    >>> result = Result((*rows, CaseResult("a", Structure.SPLEEN, 0.6, 9.0, 11.0)), 0.01)
    >>> round(result.dss, 3), result.volume_bias_pct  # mean of 0.8 and 0.6; 10 % for the liver, -20 % for the spleen
    (0.7, -20.0)
    """

    cases: tuple[CaseResult, ...]
    seconds_per_slice: float | None

    def dss_of(self, structure: Structure) -> float | None:
        """Mean over the cases on which it is defined; None where there is none."""
        scores = [case.dss for case in self.cases if case.structure == structure and case.dss is not None]
        return fmean(scores) if scores else None

    @property
    def dss(self) -> float | None:
        """Mean of the means of the organs."""
        means = [mean for one in ORGANS if (mean := self.dss_of(one)) is not None]
        return fmean(means) if means else None

    @property
    def volume_bias_pct(self) -> float | None:
        """Mean over cases of the percentage difference from the reference, of the organ where it is larger; signed."""
        biases = [bias for one in ORGANS if (bias := self._bias(one)) is not None]
        return max(biases, key=abs, default=None)

    def objective(self, name: str) -> float | None:
        """One of `OBJECTIVES`, as a number to be made larger or smaller; None where it is undefined."""
        if name == "volume_bias":
            return None if self.volume_bias_pct is None else abs(self.volume_bias_pct)
        value: float | None = getattr(self, name)
        return value

    def _bias(self, structure: Structure) -> float | None:
        own = [case.volume_difference_pct for case in self.cases if case.structure == structure]
        defined = [difference for difference in own if difference is not None]
        return fmean(defined) if defined else None


def read_result(run: Path) -> Result:
    """The result that a finished training left in its folder.

    Raises:
        ValueError: there is none.
    """
    file = run / "validation.csv"
    if not file.is_file():
        raise ValueError("the training validated nothing")
    with file.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    cases = tuple(
        CaseResult(
            row["case_id"],
            organ(row["structure"]),
            float(row["dss"]) if row["dss"] else None,
            float(row["volume_cm3"]),
            float(row["reference_cm3"]),
        )
        for row in rows
    )
    records = read_record(run)
    times = (record.get("measured", {}).get("validation_seconds_per_slice") for record in records)
    return Result(cases, next((seconds for seconds in times if seconds is not None), None))


def read_record(run: Path) -> Sequence[Mapping[str, Any]]:
    """What `run.json` tells of the runs into this folder, newest first; nothing if it is absent."""
    try:
        last = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [last, *reversed(last.get("earlier", []))]
