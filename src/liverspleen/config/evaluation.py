"""Schemas of the verbs that measure, report, compare, plan and audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from liverspleen.config.cohorts import PROCESSES, ROOT, VocabularyConfig
from liverspleen.config.key import Key, Schema, conflict
from liverspleen.errors import Issue
from liverspleen.organs import ORGAN_KEYS, RATIO_KEY

_INDICES = (*ORGAN_KEYS, RATIO_KEY)
_LARGEST_CM3 = 1_000_000
_LARGEST_PCT = 200  # of the mean of two volumes: the difference of something and nothing
_LARGEST_STUDY = 1_000_000
_LABEL_VALUES = Key(
    "Meaning of the voxel values of `labels`: a preset, or a map such as {5: liver, 1: spleen}; default: that of "
    "dataset.json or dseg.tsv beside the label maps, or of dataset.json one folder above, else `liverspleen`."
)


@dataclass(frozen=True, kw_only=True)
class MeasureConfig(Schema):
    """Keys of `liverspleen measure`."""

    labels: Annotated[
        Path,
        Key(
            "Folder of the label maps: <case_id>.nii.gz, <case_id>_dseg.nii.gz, or one folder <case_id> of "
            "masks per case."
        ),
    ]
    reference: Annotated[Path | None, Key("Folder of the reference label maps; default: those of the cohort.")]
    cohort: Annotated[Path | None, Key("Table of patients, conditions and sites (cohort.csv).")]
    root: Annotated[Path | None, ROOT]
    output: Annotated[Path, Key("Output folder for measurements.csv.")]
    reader: Annotated[str, Key("Name of the person or system that produced the label maps.")]
    reference_reader: Annotated[str, Key("Name of the person or system that produced the references.")]
    datasets: Annotated[list[str], Key("Datasets of the cohort to measure; default: all.")]
    label_values: Annotated[Any, _LABEL_VALUES]
    reference_values: Annotated[Any, Key("Meaning of the voxel values of `reference`; as `label_values`.")]
    probabilities: Annotated[
        Path | None,
        Key(
            "Folder of the probability maps of the same cases: <case_id>_liver_probability.nii.gz, a folder per organ, "
            "or a folder per case; empty: no soft volume and no calibration."
        ),
    ]
    probability_unit: Annotated[
        Literal["fraction", "percent"], Key("Unit of the probability maps: `fraction` is 0 to 1, `percent` 0 to 100.")
    ]
    allow_missing: Annotated[bool, Key("If true, a case without a label map has a DSS of 0; if false, it is an error.")]
    surface: Annotated[Literal["voxel", "area", "none"], Key("Definition of the surface distances; `none` omits them.")]
    nsd_tolerance_mm: Annotated[
        float, Key("Tolerance of the NSD in mm: distance up to which two surfaces count as equal.", ge=0, le=1000)
    ]
    workers: Annotated[int, PROCESSES]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if reference_values= or a unit is given without the folder that it describes."""
        if self.probabilities is None and self.probability_unit != "fraction":
            message = "probability_unit= has no effect without probabilities="
            yield conflict(message, "give probabilities=, or remove probability_unit=")
        if self.reference is None and self.reference_values is not None:
            message = (
                "reference_values= has no effect without reference=, because a cohort has the values of liverspleen"
            )
            yield conflict(message, "give reference=, or remove reference_values=")


@dataclass(frozen=True, kw_only=True)
class ReportConfig(Schema):
    """Keys of `liverspleen report`."""

    measurements: Annotated[Path, Key("Measurements for the tables (measurements.csv).")]
    output: Annotated[Path, Key("Output folder for tables/, figures/, report.json and report.html.")]
    reader: Annotated[str | None, Key("Name of the reader under test; default: the only one, or `dla`.")]
    reference: Annotated[str | None, Key("Name of the reference reader; default: the only one, or `manual`.")]
    cohort: Annotated[Path | None, Key("Cohort for Table 1 and Figure 1 (cohort.csv); empty: both are omitted.")]
    root: Annotated[Path | None, ROOT]
    split: Annotated[
        Path | None,
        Key(
            "Split of that cohort: split.csv, or a folder of folds. Figure 1 has its patients, and development cases "
            "on a validation side have tables of their own."
        ),
    ]
    exclusions: Annotated[
        Path | None,
        Key(
            "CSV file with the columns reason,count: the excluded patients in Figure 1. The reason "
            "`assessed` gives the number of all patients."
        ),
    ]
    labels: Annotated[
        Path | None,
        Key("Folder of the reader's label maps, <case_id>.nii.gz, for Figure 3; empty: the figure is omitted."),
    ]
    label_values: Annotated[Any, _LABEL_VALUES]
    cases: Annotated[
        list[str],
        Key("The case_ids in Figure 3; default: the case with the median DSS of each condition."),
    ]
    viewer_cases: Annotated[
        int,
        Key(
            "Number of cases in the viewer of slices on the page, those with the lowest DSS of an organ; it needs "
            "cohort and labels.",
            ge=0,
            le=1000,
        ),
    ]
    vocabulary: VocabularyConfig


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Schema):
    """Keys of `liverspleen compare`."""

    measurements: Annotated[list[Path], Key("One measurements.csv with all readers, or several: a.csv,b.csv.")]
    output: Annotated[Path, Key("Output folder for tables/, figures/, compare.json and compare.html.")]
    readers: Annotated[
        list[str],
        Key("Readers to compare, in the order of the tables; default: all that are measured against the reference."),
    ]
    reference: Annotated[str | None, Key("Name of the reference reader; default: the only one, or `manual`.")]
    datasets: Annotated[list[str], Key("Datasets on which readers are compared; default: all.")]
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
        Path | None, Key("Measurements of the CT scans (measurements.csv); empty: before= and after= are required.")
    ]
    first: Annotated[str | None, Key("The case_id of the earlier CT scan.")]
    second: Annotated[str | None, Key("The case_id of the later CT scan.")]
    cases: Annotated[
        list[str],
        Key("The case_ids of three or more CT scans in the order of time, [A,B,C], in place of first= and second=."),
    ]
    reader: Annotated[str | None, Key("Name of the reader that measured both CT scans; default: the only reader.")]
    before: Annotated[
        float | None, Key("Volume in the earlier CT scan in cm³, or its liver/spleen ratio.", ge=0, le=_LARGEST_CM3)
    ]
    after: Annotated[
        float | None, Key("Volume in the later CT scan in cm³, or its liver/spleen ratio.", ge=0, le=_LARGEST_CM3)
    ]
    structure: Annotated[str | None, Key("Volume or ratio to compare; default: all.", choices=_INDICES)]
    report: Annotated[Path | None, Key("Report with the percentage reproducibility coefficients, %RC (report.json).")]
    rc_pct: Annotated[
        float | None, Key("Percentage reproducibility coefficient (%RC), in place of a report.", gt=0, le=_LARGEST_PCT)
    ]
    rc_ci_pct: Annotated[
        list[float],
        Key(
            "The 95 % interval of `rc_pct`, [lower,upper]; empty: unknown.",
            ge=0,
            le=10 * _LARGEST_PCT,
        ),
    ]
    output: Annotated[
        Path | None,
        Key("Output folder for change.json, the figure course and run.json; empty: the result is only printed."),
    ]

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of missing or contradicting volumes and sources of the RC."""
        yield from (Issue("LS-CHG-001", message, hint) for message, hint in self._volumes())
        yield from (Issue("LS-CHG-001", message, hint) for message, hint in self._reproducibility())

    def _volumes(self) -> Iterator[tuple[str, str]]:
        of_file: dict[str, object] = {"first": self.first, "second": self.second}
        if self.cases:
            if given := [f"{name}=" for name, value in of_file.items() if value is not None]:
                yield f"{', '.join(given)} cannot be used with cases=", f"remove {', '.join(given)}"
            if len(self.cases) < 2:
                yield "cases= has one CT scan, expected two or more", "give cases=[A,B,C] in the order of time"
            of_file = {"cases": self.cases}
        of_values = {"before": self.before, "after": self.after}
        required, other = (of_values, of_file) if self.measurements is None else (of_file, of_values)
        if missing := [f"{name}=" for name, value in required.items() if value is None]:
            hint = "give measurements= with first= and second= or with cases=, or before= and after="
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
        Literal["loa", "rc", "tost", "cases"],
        Key(
            "Question of the study: limits of agreement (loa), a percentage reproducibility coefficient "
            "(rc), the equivalence of two readers (tost), or the training cases that a DSS needs (cases)."
        ),
    ]
    n: Annotated[
        int | None,
        Key(
            "Number of cases for which precision or power is computed; empty: the required number of cases "
            "is computed.",
            ge=1,
            le=_LARGEST_STUDY,
        ),
    ]
    sd: Annotated[float | None, Key("Assumed SD of the differences (loa, tost).", gt=0, le=1e9)]
    half_width: Annotated[
        float | None,
        Key(
            "Required half-width of the 95 % interval (loa: in the unit of sd; rc: in percent).",
            gt=0,
            le=1e9,
        ),
    ]
    rc_pct: Annotated[float | None, Key("Assumed percentage reproducibility coefficient (rc).", gt=0, le=_LARGEST_PCT)]
    repeats: Annotated[int | None, Key("Number of CT scans per patient (rc); default: 2.", ge=2, le=1000)]
    margin: Annotated[
        float | None,
        Key("Equivalence margin of the mean difference (tost), in the unit of sd.", gt=0, le=1e9),
    ]
    bias: Annotated[float | None, Key("Assumed true mean difference (tost); default: 0.", ge=-1e9, le=1e9)]
    power: Annotated[float | None, Key("Probability of showing equivalence (tost); default: 0.8.", gt=0, lt=1)]
    assurance: Annotated[
        float | None,
        Key("Probability of reaching the half-width (loa, rc); default: 0.8.", gt=0, lt=1),
    ]
    curve: Annotated[
        Path | None,
        Key("Learning curve (cases): a CSV file with the columns cases, dss and optionally seed, a row per training."),
    ]
    dss: Annotated[float | None, Key("Wanted mean DSS (cases).", gt=0, lt=1)]
    output: Annotated[Path | None, Key("Output folder for plan.json and run.json; empty: the table is only printed.")]

    def given(self) -> dict[str, Any]:
        """Return the values that are given, by key."""
        numbers = {name: value for name, value in vars(self).items() if name not in ("question", "output")}
        return {name: value for name, value in numbers.items() if value is not None}

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of missing numbers, and of numbers that the question does not use."""
        required, optional = _REQUIRED[self.question], _OPTIONAL[self.question]
        if self.n is not None and self.question != "cases":
            required, optional = (tuple(k for k in keys if k not in _INSTEAD_OF_N) for keys in (required, optional))
        if missing := ", ".join(f"{name}=" for name in required if name not in self.given()):
            without = self.n is not None or "half_width" not in required
            instead = "" if without else ", or n= in place of half_width="
            yield Issue("LS-PLN-002", f"question={self.question} needs {missing}", f"give {missing}{instead}")
        if unused := ", ".join(f"{name}=" for name in self.given() if name not in (*required, *optional)):
            with_n = " with n=" if self.n is not None and self.question != "cases" else ""
            message = f"question={self.question}{with_n} does not use {unused}"
            yield Issue("LS-PLN-002", message, f"remove {unused}")


_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "loa": ("sd", "half_width"),
    "rc": ("rc_pct", "half_width"),
    "tost": ("sd", "margin"),
    "cases": ("curve", "dss"),
}
_OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "loa": ("assurance", "n"),
    "rc": ("repeats", "assurance", "n"),
    "tost": ("bias", "power", "n"),
    "cases": (),
}
_INSTEAD_OF_N: Final = ("half_width", "power", "assurance")


@dataclass(frozen=True, kw_only=True)
class AuditConfig(Schema):
    """Keys of `liverspleen audit`."""

    published: Annotated[Path, Key("CSV file with the printed numbers.")]
    claims: Annotated[Path, Key("YAML file with the relations between these numbers.")]
    output: Annotated[Path, Key("Output folder for findings.csv, findings.json, audit.md and audit.html.")]
