"""Synthetic cases that match given numbers: measurements of 250 CT scans, and their cohort.

Only this module uses the target numbers; all later steps read the tables as those of any study. Organ sizes, the range
of ages and the independence of cases are assumptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from samples import FREE, Floats, Interval, Spread, match_kruskal_wallis, match_wilcoxon, sample_groups
from volumes import INDICES, Agreement, Reproducibility, other_volume, sample_differences, sample_repeats

from liverspleen.cohort.vocabulary import PAPER
from liverspleen.evaluation import Measurement
from liverspleen.organs import ORGAN_KEYS

Key = tuple[str, str, str, str]
"""Table, row and column of a cell of the report, and the name of one of its values."""
Targets = Mapping[Key, Interval]

PER_CONDITION: Final = 30
PAIRS: Final = 50
DEVELOPMENT: Final = 813
READERS: Final = ("dla", "manual")
SEED: Final = 2020

# Not in the paper: median volume in cm³ and SD of its logarithm, liver and spleen. Chosen to fill the axes of Figure 4.
_SIZES: Final = {
    "healthy": ((1250.0, 0.18), (170.0, 0.35)),
    "fatty": ((1550.0, 0.20), (190.0, 0.35)),
    "cld": ((1250.0, 0.22), (230.0, 0.45)),
    "cirrhosis": ((1050.0, 0.28), (430.0, 0.55)),
    "post_hepatectomy": ((950.0, 0.22), (240.0, 0.45)),
}
_PAIRED_SIZE: Final = ((1250.0, 0.22), (210.0, 0.45))
_AGES: Final = (19.0, 85.0)  # Not in the paper: adults only, its tables give no range of ages.

_DSS_DIGITS: Final = 6
_VOLUME_DIGITS: Final = 4


@dataclass(frozen=True)
class Examination:
    """One CT scan with the measurements of both readers: volumes by reader and organ, DSS by organ."""

    case_id: str
    patient_id: str
    dataset: str
    condition: str
    site: str
    volumes_cm3: Mapping[tuple[str, str], float]
    dss: Mapping[str, float]

    def rows(self) -> Iterator[Measurement]:
        """Yield its rows of `measurements.csv`."""
        case = (self.case_id, self.patient_id, self.dataset, self.condition, self.site)
        for organ in ORGAN_KEYS:
            test, reference = READERS
            volume = self.volumes_cm3[test, organ]
            yield Measurement(*case, organ, test, volume, reference=reference, dss=self.dss[organ])
            yield Measurement(*case, organ, reference, self.volumes_cm3[reference, organ])


def examinations(targets: Targets, seed: int = SEED) -> list[Examination]:
    """Return 150 CT scans of five conditions, and 50 patients with two CT scans each.

    The same seed gives the same cases.

    Raises:
        InputError: LS-EXP-010, no cases with the target numbers were found.
    """
    rng = np.random.default_rng(seed)
    return [*_conditions(rng, targets), *_pairs(rng, targets)]


def cohort_rows(targets: Targets, cases: list[Examination], seed: int = SEED) -> list[dict[str, object]]:
    """Return the rows of `cohort.csv` of the cases and of the development dataset.

    Raises:
        InputError: LS-EXP-010, no ages with the target numbers were found.
    """
    rng = np.random.default_rng((seed, 1))
    rows: list[dict[str, object]] = [
        {"case_id": f"D{number:03}", "patient_id": f"D{number:03}", "dataset": "development"}
        for number in range(1, DEVELOPMENT + 1)
    ]
    rows += [{name: getattr(case, name) for name in _CASE_COLUMNS} for case in cases]
    for dataset in dict.fromkeys(str(row["dataset"]) for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        patients = list(dict.fromkeys(row["patient_id"] for row in own))
        ages, sexes = _ages(rng, targets, dataset, len(patients)), _sexes(rng, targets, dataset, len(patients))
        of_patient = {p: {"age": age, "sex": sex} for p, age, sex in zip(patients, ages, sexes, strict=True)}
        thicknesses = _thicknesses(rng, targets, dataset, len(own))
        for row, thickness in zip(own, thicknesses, strict=True):
            row |= {"image": f"images/{row['case_id']}.nii.gz", "phase": "portal venous"}
            row |= {**of_patient[row["patient_id"]], "slice_thickness_mm": thickness}
    return rows


_CASE_COLUMNS: Final = ("case_id", "patient_id", "dataset", "condition", "site")


def _conditions(rng: np.random.Generator, targets: Targets) -> Iterator[Examination]:
    dss = np.array([_dss_by_condition(rng, targets, organ) for organ in ORGAN_KEYS])
    n = dss.shape[1]
    groups = {"total": np.arange(n)}
    groups |= dict(zip(PAPER.conditions, np.split(np.arange(n), len(PAPER.conditions)), strict=True))
    groups_and_agreement = [
        (cases, {index: _agreement(targets, "table3", row, index, f"{index}_p") for index in INDICES})
        for row, cases in groups.items()
    ]
    differences = sample_differences(rng, dss, groups_and_agreement)
    for condition in PAPER.conditions:
        manual = _sizes(rng, _SIZES[condition], PER_CONDITION)
        for position, case in enumerate(groups[condition]):
            name = f"A{case + 1:03}"
            yield _examination(
                (name, name, "test1", condition, "internal"), manual[:, position], differences[:, case], dss[:, case]
            )


def _pairs(rng: np.random.Generator, targets: Targets) -> Iterator[Examination]:
    dss = np.array([_dss_by_site(rng, targets, organ) for organ in ORGAN_KEYS]).transpose(1, 0, 2)
    repeats = sample_repeats(
        rng,
        dss,
        [{index: _agreement(targets, "table4", f"loa_{index}", site) for index in INDICES} for site in PAPER.sites],
        [{index: _reproducibility(targets, index, reader) for index in INDICES} for reader in READERS],
    )
    internal = _sizes(rng, _PAIRED_SIZE, PAIRS)
    manual = np.stack([internal * np.exp(repeats.log_change), internal])
    for patient in range(PAIRS):
        for position, site in enumerate(PAPER.sites):
            case_columns = (f"B{patient + 1:02}-{site}", f"B{patient + 1:02}", "test2", "", site)
            yield _examination(
                case_columns,
                manual[position, :, patient],
                repeats.differences_pct[position, :, patient],
                dss[position, :, patient],
            )


def _examination(case_columns: tuple[str, ...], manual: Floats, differences: Floats, dss: Floats) -> Examination:
    volumes = dict(zip(READERS, (other_volume(manual, differences), manual), strict=True))
    return Examination(
        *case_columns,
        volumes_cm3={
            (reader, organ): round(float(found[position]), _VOLUME_DIGITS)
            for reader, found in volumes.items()
            for position, organ in enumerate(ORGAN_KEYS)
        },
        dss={organ: float(dss[position]) for position, organ in enumerate(ORGAN_KEYS)},
    )


def _dss_by_condition(rng: np.random.Generator, targets: Targets, organ: str) -> Floats:
    spreads = {name: _spread(targets, "table2", name, organ, PER_CONDITION) for name in PAPER.conditions}
    whole = _spread(targets, "table2", "total", organ, PER_CONDITION * len(PAPER.conditions))
    groups = sample_groups(rng, spreads, whole)
    groups = match_kruskal_wallis(rng, groups, targets.get(("table2", "p", organ, "p"), FREE))
    return np.concatenate([rng.permutation(sample) for sample in groups.values()]).round(_DSS_DIGITS)


def _dss_by_site(rng: np.random.Generator, targets: Targets, organ: str) -> Floats:
    row = f"dss_{organ}"
    groups = sample_groups(rng, {site: _spread(targets, "table4", row, site, PAIRS) for site in PAPER.sites})
    external, internal = (groups[site].round(_DSS_DIGITS) for site in PAPER.sites)
    external = rng.permutation(external)
    internal = match_wilcoxon(rng, external, internal, targets.get(("table4", row, "p", "p"), FREE))
    return np.stack([external, internal])


def _sizes(rng: np.random.Generator, sizes: tuple[tuple[float, float], ...], n: int) -> Floats:
    """Return volumes, (organ, n), from a lognormal distribution limited to two SD."""
    logs = np.clip(rng.standard_normal((len(sizes), n)), -2, 2)
    return np.array([median * np.exp(sd * log) for (median, sd), log in zip(sizes, logs, strict=True)])


def _ages(rng: np.random.Generator, targets: Targets, dataset: str, n: int) -> Floats:
    mean, sd = (targets.get(("table1", "age", dataset, name), FREE) for name in ("mean", "sd"))
    youngest, oldest = ((age, age) for age in _AGES)
    mean = mean if np.isfinite(mean[0]) else (50.0, 51.0)
    sample = sample_groups(rng, {dataset: Spread(n, mean, sd, youngest, oldest)})[dataset]
    return rng.permutation(sample).round(2)


def _sexes(rng: np.random.Generator, targets: Targets, dataset: str, n: int) -> list[str]:
    men = _count(targets, "sex:M", dataset, n // 2)
    return list(rng.permutation(["M"] * men + ["F"] * (n - men)))


def _thicknesses(rng: np.random.Generator, targets: Targets, dataset: str, n: int) -> list[float]:
    """Return 5 mm for the target number of scans, and 3 mm for the others (not in the paper)."""
    n_5_mm = _count(targets, "slice_thickness:5 mm", dataset, n)
    return [float(mm) for mm in rng.permutation([5.0] * n_5_mm + [3.0] * (n - n_5_mm))]


def _count(targets: Targets, row: str, dataset: str, default: int) -> int:
    low, high = targets.get(("table1", row, dataset, "count"), FREE)
    return round((low + high) / 2) if np.isfinite(low) else default


def _spread(targets: Targets, table: str, row: str, column: str, n: int) -> Spread:
    names = ("mean", "sd", "minimum", "maximum")
    return Spread(n, *(targets.get((table, row, column, name), FREE) for name in names))


def _agreement(targets: Targets, table: str, row: str, column: str, p_column: str = "") -> Agreement:
    bias, half_width = (targets.get((table, row, column, name), FREE) for name in ("bias", "half_width"))
    return Agreement(bias, half_width, targets.get((table, row, p_column, "p"), FREE))


def _reproducibility(targets: Targets, index: str, reader: str) -> Reproducibility:
    names = ("rc_pct", "ci_lower", "ci_upper")
    return Reproducibility(*(targets.get(("reproducibility", index, reader, name), FREE) for name in names))
