"""Schemas of the verbs that measure, report, compare, plan and audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from liverspleen.config.cohorts import PROCESSES, ROOT, VocabularyConfig
from liverspleen.config.key import Key, Schema, conflict
from liverspleen.errors import Issue
from liverspleen.organs import ORGAN_KEYS, OWN_VALUES, RATIO_KEY

_INDICES = (*ORGAN_KEYS, RATIO_KEY)
_LARGEST_CM3 = 1_000_000
_LARGEST_PCT = 200  # of the mean of two volumes: the difference of something and nothing
_LARGEST_STUDY = 1_000_000
_LABEL_VALUES = Key(
    "Voxel values of `labels` have the meaning of this preset, or of a map such as {5: liver, 1: spleen}."
)


@dataclass(frozen=True, kw_only=True)
class MeasureConfig(Schema):
    """Keys of `liverspleen measure`."""

    labels: Annotated[
        Path,
        Key(
            "The label maps are in this folder: <case_id>.nii.gz, <case_id>_dseg.nii.gz, or one folder <case_id> of "
            "masks per case."
        ),
    ]
    reference: Annotated[
        Path | None, Key("Reference label maps are in this folder; they are those of the cohort if empty.")
    ]
    cohort: Annotated[Path | None, Key("Patients, conditions and sites are in this cohort.csv.")]
    root: Annotated[Path | None, ROOT]
    output: Annotated[Path, Key("This folder gets measurements.csv.")]
    reader: Annotated[str, Key("The person or system that drew the label maps has this name.")]
    reference_reader: Annotated[str, Key("The person or system that drew the references has this name.")]
    datasets: Annotated[list[str], Key("These datasets of a cohort are measured; all are if empty.")]
    label_values: Annotated[Any, _LABEL_VALUES]
    reference_values: Annotated[Any, Key("Voxel values of `reference` have the meaning of this preset or map.")]
    allow_missing: Annotated[bool, Key("A case without a label map has a DSS of 0, and is not an error.")]
    surface: Annotated[
        Literal["voxel", "area", "none"], Key("Surface distances have this definition; `none` omits them.")
    ]
    nsd_tolerance_mm: Annotated[float, Key("The NSD counts two surfaces as equal up to this distance.", ge=0, le=1000)]
    workers: Annotated[int, PROCESSES]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if reference_values= is given without reference=."""
        if self.reference is None and self.reference_values != OWN_VALUES:
            message = (
                "reference_values= has no effect without reference=, because a cohort has the values of liverspleen"
            )
            yield conflict(message, "give reference=, or remove reference_values=")


@dataclass(frozen=True, kw_only=True)
class ReportConfig(Schema):
    """Keys of `liverspleen report`."""

    measurements: Annotated[Path, Key("The tables are made from this measurements.csv.")]
    output: Annotated[Path, Key("This folder gets tables/, figures/, report.json and report.html.")]
    reader: Annotated[str | None, Key("This reader is under test; it is the only one if empty.")]
    reference: Annotated[str | None, Key("This reader is the reference; it is the only one if empty.")]
    cohort: Annotated[
        Path | None, Key("Table 1 and Figure 1 are made from this cohort.csv; they are omitted if empty.")
    ]
    root: Annotated[Path | None, ROOT]
    split: Annotated[Path | None, Key("Figure 1 shows the sides of this split.csv of that cohort.")]
    exclusions: Annotated[
        Path | None,
        Key(
            "Figure 1 shows the excluded patients of this CSV of reason,count; the reason `assessed` is the number of "
            "all patients."
        ),
    ]
    labels: Annotated[
        Path | None,
        Key("Figure 3 shows label maps of the reader, <case_id>.nii.gz, from this folder; it is omitted if empty."),
    ]
    label_values: Annotated[Any, _LABEL_VALUES]
    cases: Annotated[
        list[str],
        Key("Figure 3 shows these case_ids; it shows the case with the median DSS of each condition if empty."),
    ]
    vocabulary: VocabularyConfig


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Schema):
    """Keys of `liverspleen compare`."""

    measurements: Annotated[list[Path], Key("The readers are in this measurements.csv, or in several: a.csv,b.csv.")]
    output: Annotated[Path, Key("This folder gets tables/, figures/ and compare.json.")]
    readers: Annotated[
        list[str],
        Key("These readers are compared in this order; all that are measured against the reference are if empty."),
    ]
    reference: Annotated[str | None, Key("This reader is their reference; it is the only one, or `manual`, if empty.")]
    datasets: Annotated[list[str], Key("Readers are compared on these datasets, or on all if empty.")]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if there is no table."""
        if not self.measurements:
            message = "compare needs measurements=... (measurements.csv of the readers)"
            yield Issue("LS-CFG-002", message, "add measurements=... (liverspleen compare --help)")


@dataclass(frozen=True, kw_only=True)
class ChangeConfig(Schema):
    """Keys of `liverspleen change`."""

    measurements: Annotated[
        Path | None, Key("Both CT scans are in this measurements.csv; before= and after= are required if empty.")
    ]
    first: Annotated[str | None, Key("The earlier CT has this case_id.")]
    second: Annotated[str | None, Key("The later CT has this case_id.")]
    reader: Annotated[str | None, Key("This reader measured both CT scans; it is the only reader if empty.")]
    before: Annotated[float | None, Key("The earlier CT has this volume in cm³, or this ratio.", ge=0, le=_LARGEST_CM3)]
    after: Annotated[float | None, Key("The later CT has this volume in cm³, or this ratio.", ge=0, le=_LARGEST_CM3)]
    structure: Annotated[str | None, Key("This index is compared; all are if empty.", choices=_INDICES)]
    report: Annotated[Path | None, Key("The percentage RC are read from this report.json.")]
    rc_pct: Annotated[float | None, Key("This percentage RC is used in place of a report.", gt=0, le=_LARGEST_PCT)]
    rc_ci_pct: Annotated[
        list[float],
        Key(
            "The RC of `rc_pct` has this 95 % interval, [lower,upper], which is unknown if empty.",
            ge=0,
            le=10 * _LARGEST_PCT,
        ),
    ]
    output: Annotated[
        Path | None, Key("This folder gets change.json and run.json; the result is only printed if empty.")
    ]

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of missing or contradicting volumes and sources of the RC."""
        yield from (Issue("LS-CHG-001", message, hint) for message, hint in self._volumes())
        yield from (Issue("LS-CHG-001", message, hint) for message, hint in self._reproducibility())

    def _volumes(self) -> Iterator[tuple[str, str]]:
        of_file = {"first": self.first, "second": self.second}
        of_values = {"before": self.before, "after": self.after}
        required, other = (of_values, of_file) if self.measurements is None else (of_file, of_values)
        if missing := [f"{name}=" for name, value in required.items() if value is None]:
            hint = "give measurements=, first= and second=, or before= and after="
            yield f"missing options: {', '.join(missing)}", hint
        if given := [f"{name}=" for name, value in other.items() if value is not None]:
            message = f"{', '.join(given)} cannot be used {'with' if self.measurements else 'without'} measurements="
            yield message, f"remove {', '.join(given)}"

    def _reproducibility(self) -> Iterator[tuple[str, str]]:
        if self.report is not None and self.rc_pct is not None:
            yield "report= and rc_pct= are both given", "remove one of them"
        if self.report is None and self.rc_pct is None:
            yield "no RC is given", "give report= or rc_pct="
        elif self.structure is None and (self.rc_pct is None) == (self.measurements is None):
            message = "rc_pct= is the RC of one index" if self.measurements else "report= has the RC of several indices"
            yield f"{message}, expected structure=", f"give structure= one of {', '.join(_INDICES)}"
        if self.rc_ci_pct and (self.rc_pct is None or len(self.rc_ci_pct) != 2):
            yield "rc_ci_pct= is not an interval of rc_pct=", "give rc_pct= and rc_ci_pct=[lower,upper]"


@dataclass(frozen=True, kw_only=True)
class PlanConfig(Schema):
    """Keys of `liverspleen plan`."""

    question: Annotated[
        Literal["loa", "rc", "tost"],
        Key("The study estimates limits of agreement or a percentage RC, or tests the equivalence of two readers."),
    ]
    n: Annotated[
        int | None,
        Key(
            "The precision or power of this number of cases is computed, or the required number if empty.",
            ge=1,
            le=_LARGEST_STUDY,
        ),
    ]
    sd: Annotated[float | None, Key("For loa and tost, the differences are assumed to have this SD.", gt=0, le=1e9)]
    half_width: Annotated[
        float | None,
        Key(
            "The 95 % interval has this half-width, in the unit of sd for loa, in percent for rc.",
            gt=0,
            le=1e9,
        ),
    ]
    rc_pct: Annotated[float | None, Key("For rc, this percentage RC is assumed.", gt=0, le=_LARGEST_PCT)]
    repeats: Annotated[int | None, Key("For rc, each patient has this number of CT scans, 2 if empty.", ge=2, le=1000)]
    margin: Annotated[
        float | None,
        Key("For tost, this is the equivalence margin of the mean difference, in the unit of sd.", gt=0, le=1e9),
    ]
    bias: Annotated[float | None, Key("For tost, this true mean difference is assumed, 0 if empty.", ge=-1e9, le=1e9)]
    power: Annotated[
        float | None, Key("For tost, equivalence is shown with this probability, 0.8 if empty.", gt=0, lt=1)
    ]
    assurance: Annotated[
        float | None,
        Key("For loa and rc, the half-width is reached with this probability, 0.8 if empty.", gt=0, lt=1),
    ]
    output: Annotated[Path | None, Key("This folder gets plan.json and run.json; the table is only printed if empty.")]

    def given(self) -> dict[str, float]:
        """Return the numbers that are given, by key."""
        numbers = {name: value for name, value in vars(self).items() if name not in ("question", "output")}
        return {name: value for name, value in numbers.items() if value is not None}

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of missing numbers, and of numbers that the question does not use."""
        required, optional = _REQUIRED[self.question], _OPTIONAL[self.question]
        if self.n is not None:
            required, optional = (tuple(k for k in keys if k not in _INSTEAD_OF_N) for keys in (required, optional))
        if missing := ", ".join(f"{name}=" for name in required if name not in self.given()):
            instead = "" if self.n is not None or self.question == "tost" else ", or n= in place of half_width="
            yield Issue("LS-PLN-002", f"question={self.question} needs {missing}", f"give {missing}{instead}")
        if unused := ", ".join(f"{name}=" for name in self.given() if name not in (*required, *optional, "n")):
            with_n = " with n=" if self.n is not None else ""
            message = f"question={self.question}{with_n} does not use {unused}"
            yield Issue("LS-PLN-002", message, f"remove {unused}")


_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "loa": ("sd", "half_width"),
    "rc": ("rc_pct", "half_width"),
    "tost": ("sd", "margin"),
}
_OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "loa": ("assurance",),
    "rc": ("repeats", "assurance"),
    "tost": ("bias", "power"),
}
_INSTEAD_OF_N: Final = ("half_width", "power", "assurance")


@dataclass(frozen=True, kw_only=True)
class AuditConfig(Schema):
    """Keys of `liverspleen audit`."""

    published: Annotated[Path, Key("The printed numbers are in this CSV.")]
    claims: Annotated[Path, Key("The relations between these numbers are in this YAML.")]
    output: Annotated[Path, Key("This folder gets findings.csv, findings.json, audit.md and audit.html.")]
