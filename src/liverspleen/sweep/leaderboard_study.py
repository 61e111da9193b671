"""What a study left in its folder, read for the leaderboard: finished or not, and whoever wrote it."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas

from liverspleen.errors import InputError, Issue
from liverspleen.organs import ORGAN_KEYS

FIXED: Final = (
    *("number", "phase", "configuration", "state", "reason", "seed", "device", "started", "seconds"),
    *("dss", *(f"dss_{key}" for key in ORGAN_KEYS), "volume_bias_pct", "seconds_per_slice"),
)
"""Columns of `trials.csv` that are no parameters."""

CASE_COLUMNS: Final = ("number", "case_id", "condition", "structure", "dss", "volume_cm3", "reference_cm3")
_NUMBERS: Final = ("seconds", *FIXED[FIXED.index("dss") :])


@dataclass(frozen=True)
class Axis:
    """A searched parameter; its `choices` in order, or none if it is a range, perhaps `log` or of whole numbers."""

    name: str
    choices: tuple[str, ...] = ()
    log: bool = False
    whole: bool = False
    limits: tuple[float, float] | None = None

    def value(self, text: str) -> str | float | None:
        """A value as it stands in `trials.csv`: a choice as text, else a number; None where there is none."""
        if not text:
            return None
        return text if self.choices else _number(text)


@dataclass(frozen=True)
class StudyFiles:
    """A study as it is now: `trials` and `cases` as in the files, numbers as float64 with NaN for undefined."""

    name: str
    objectives: tuple[str, ...]
    planned_trials: int
    leaders: int
    seeds: int
    sampler: str
    pruner: str
    axes: tuple[Axis, ...]
    trials: pandas.DataFrame
    cases: pandas.DataFrame

    def phase(self, phase: str, *states: str) -> pandas.DataFrame:
        """Trials of a phase, in the order of their numbers, of these states or of all."""
        rows = self.trials[self.trials["phase"] == phase]
        return rows[rows["state"].isin(states)] if states else rows

    @property
    def n_searched(self) -> int:
        """Finished trials of the search: pruned ones have said what they were begun for."""
        return len(self.phase("search", "complete", "pruned"))

    @property
    def n_confirmed(self) -> int:
        """Finished trainings of the confirmation of the leaders."""
        return int(self.phase("confirm", "complete")["configuration"].isin(self._leaders).sum())

    @property
    def n_to_confirm(self) -> int:
        """Trainings that the confirmation is to have: of fewer leaders than wanted, if the search found no more."""
        return self._n_leaders * self.seeds

    @property
    def searched(self) -> bool:
        """Whether the search is finished; a point of a grid that failed is not tried again."""
        if self.sampler != "grid":
            return self.n_searched >= self.planned_trials
        tried = len(self.phase("search", "complete", "pruned", "failed"))
        return tried >= self.planned_trials or not self.phase("confirm").empty

    @property
    def confirmed(self) -> bool:
        """Whether all leaders have all their seeds, and none is being trained.

        Former leaders, whom a search with more trials has overtaken, count for nothing.
        """
        counts = self.phase("confirm", "complete")["configuration"].value_counts()
        enough = all(counts.get(name, 0) >= self.seeds for name in self._leaders)
        return self.searched and enough and self.phase("confirm", "running", "interrupted").empty

    @property
    def finished(self) -> bool:
        """Whether search and confirmation are finished."""
        return self.searched and self.confirmed

    @property
    def _leaders(self) -> list[str]:
        """The configurations that are confirmed: by their best score in the first objective, as the workers rank."""
        name = self.objectives[0] if self.objectives else "dss"
        trials = self.phase("search", "complete")
        scores = trials[{"volume_bias": "volume_bias_pct"}.get(name, name)]
        badness = -scores if name == "dss" else scores.abs()
        ordered = trials.assign(badness=badness).sort_values(["badness", "number"])
        return list(dict.fromkeys(ordered["configuration"]))[: self.leaders]

    @property
    def _n_leaders(self) -> int:
        found = self.phase("search", "complete")["configuration"].nunique()
        return min(self.leaders, found) if self.searched else self.leaders


def read_study(folder: Path) -> StudyFiles:
    """The study in a folder; without `trials.csv` or `trial_cases.csv` it has no trials yet.

    Raises:
        InputError: LS-SWP-020, there is no study; LS-SWP-021, a table cannot be read.
    """
    file = folder / "study.json"
    hint = "give the output= folder of a sweep"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        search = about.get("search") or {}
        trials = _table(folder / "trials.csv", FIXED)
        return StudyFiles(
            name=str(about["study"]),
            objectives=tuple(map(str, about["objectives"])),
            planned_trials=int(about["trials"]),
            leaders=int(about["leaders"]),
            seeds=int(about["seeds"]),
            sampler=str(search.get("sampler", "")),
            pruner=str(search.get("pruner", "none")),
            axes=_axes(search.get("parameters") or {}, trials),
            trials=_numbered(trials, _NUMBERS),
            cases=_numbered(_table(folder / "trial_cases.csv", CASE_COLUMNS), ("dss", "volume_cm3", "reference_cm3")),
        )
    except OSError as error:
        raise InputError(Issue("LS-SWP-020", f"cannot be read: {error.strerror}", hint, file=file)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(Issue("LS-SWP-020", f"tells no study: {error}", hint, file=file)) from error


def _table(file: Path, columns: Sequence[str]) -> pandas.DataFrame:
    """A table as text, sorted by the number of the trial; empty if there is no such file."""
    if not file.exists():
        return pandas.DataFrame(columns=list(columns), dtype="str")
    try:
        with file.open(encoding="utf-8", newline="") as handle:
            header, *rows = csv.reader(handle, strict=True)
        table = pandas.DataFrame(rows, columns=header, dtype="str")
        if missing := [name for name in columns if name not in header]:
            raise ValueError(f"no column {', '.join(missing)}")
        return table.assign(number=table["number"].astype(int)).sort_values("number", ignore_index=True)
    except (ValueError, csv.Error) as error:
        hint = "let the sweep write it again: run its command once more"
        raise InputError(Issue("LS-SWP-021", f"cannot be read: {error}", hint, file=file)) from error


def _numbered(table: pandas.DataFrame, columns: Sequence[str]) -> pandas.DataFrame:
    return table.assign(**{name: table[name].map(_number).astype("float64") for name in columns})


def _number(text: str) -> float:
    """A finite number, NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _axes(parameters: Mapping[str, Any], trials: pandas.DataFrame) -> tuple[Axis, ...]:
    """The parameters as the study tells them; those it does not tell as choices out of the values that were met."""
    names = [*(name for name in trials.columns if name not in FIXED)] or list(parameters)
    return tuple(_axis(name, parameters.get(name), trials) for name in names)


def _axis(name: str, written: Any, trials: pandas.DataFrame) -> Axis:
    if isinstance(written, Mapping) and {"low", "high"} <= written.keys():
        low, high = written["low"], written["high"]
        whole = isinstance(low, int) and isinstance(high, int)
        return Axis(name, log=bool(written.get("log")), whole=whole, limits=(float(low), float(high)))
    met = [text for text in dict.fromkeys(trials[name]) if text] if name in trials else []
    told = [str(one) for one in written] if isinstance(written, list) else []
    return Axis(name, choices=(*told, *(text for text in met if text not in told)) or ("",))
