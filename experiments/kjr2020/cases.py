"""Per-case tables that give the numbers asked for: measurements of 250 CT, and the cohort they belong to.

This is the one place where cases are made to numbers; whatever reads the tables afterwards knows them only as cases.
What nobody asks for is an assumption: sizes of the organs, the range of ages, that cases are independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from samples import FREE, Floats, Interval, Spread, draw_groups, meet_kruskal_wallis, meet_wilcoxon
from volumes import INDICES, Agreement, Reproducibility, draw_differences, draw_repeats, other_volume

from liverspleen.cohort.vocabulary import PAPER
from liverspleen.evaluation import Measurement
from liverspleen.organs import ORGAN_KEYS

Key = tuple[str, str, str, str]
"""Table, row and column of a cell of the report, and the name of one of its values."""
Asked = Mapping[Key, Interval]

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
    """One CT and what both readers measured of it: volumes by reader and organ, DSS by organ."""

    case_id: str
    patient_id: str
    dataset: str
    condition: str
    site: str
    volumes_cm3: Mapping[tuple[str, str], float]
    dss: Mapping[str, float]

    def rows(self) -> Iterator[Measurement]:
        """Its rows of `measurements.csv`."""
        about = (self.case_id, self.patient_id, self.dataset, self.condition, self.site)
        for organ in ORGAN_KEYS:
            test, reference = READERS
            volume = self.volumes_cm3[test, organ]
            yield Measurement(*about, organ, test, volume, reference=reference, dss=self.dss[organ])
            yield Measurement(*about, organ, reference, self.volumes_cm3[reference, organ])


def examinations(asked: Asked, seed: int = SEED) -> list[Examination]:
    """150 CT of five conditions, and 50 patients with two CT each; the same seed gives the same numbers.

    Raises:
        InputError: LS-EXP-010 the numbers asked for were not met.
    """
    rng = np.random.default_rng(seed)
    return [*_conditions(rng, asked), *_pairs(rng, asked)]


def cohort_rows(asked: Asked, cases: list[Examination], seed: int = SEED) -> list[dict[str, object]]:
    """Rows of `cohort.csv` for the cases and for the development dataset.

    Raises:
        InputError: LS-EXP-010 the ages asked for were not met.
    """
    rng = np.random.default_rng((seed, 1))
    rows: list[dict[str, object]] = [
        {"case_id": f"D{number:03}", "patient_id": f"D{number:03}", "dataset": "development"}
        for number in range(1, DEVELOPMENT + 1)
    ]
    rows += [{name: getattr(case, name) for name in _OF_THE_CASE} for case in cases]
    for dataset in dict.fromkeys(str(row["dataset"]) for row in rows):
        inside = [row for row in rows if row["dataset"] == dataset]
        patients = list(dict.fromkeys(row["patient_id"] for row in inside))
        ages, sexes = _ages(rng, asked, dataset, len(patients)), _sexes(rng, asked, dataset, len(patients))
        of_patient = {p: {"age": age, "sex": sex} for p, age, sex in zip(patients, ages, sexes, strict=True)}
        thin = _thicknesses(rng, asked, dataset, len(inside))
        for row, thickness in zip(inside, thin, strict=True):
            row |= {"image": f"images/{row['case_id']}.nii.gz", "phase": "portal venous"}
            row |= {**of_patient[row["patient_id"]], "slice_thickness_mm": thickness}
    return rows


_OF_THE_CASE: Final = ("case_id", "patient_id", "dataset", "condition", "site")


def _conditions(rng: np.random.Generator, asked: Asked) -> Iterator[Examination]:
    dss = np.array([_dss_by_condition(rng, asked, organ) for organ in ORGAN_KEYS])
    n = dss.shape[1]
    groups = {"total": np.arange(n)}
    groups |= dict(zip(PAPER.conditions, np.split(np.arange(n), len(PAPER.conditions)), strict=True))
    wanted = [
        (cases, {index: _agreement(asked, "table3", row, index, f"{index}_p") for index in INDICES})
        for row, cases in groups.items()
    ]
    differences = draw_differences(rng, dss, wanted)
    for condition in PAPER.conditions:
        manual = _sizes(rng, _SIZES[condition], PER_CONDITION)
        for place, case in enumerate(groups[condition]):
            name = f"A{case + 1:03}"
            yield _examination(
                (name, name, "test1", condition, "internal"), manual[:, place], differences[:, case], dss[:, case]
            )


def _pairs(rng: np.random.Generator, asked: Asked) -> Iterator[Examination]:
    dss = np.array([_dss_by_site(rng, asked, organ) for organ in ORGAN_KEYS]).transpose(1, 0, 2)
    repeats = draw_repeats(
        rng,
        dss,
        [{index: _agreement(asked, "table4", f"loa_{index}", site) for index in INDICES} for site in PAPER.sites],
        [{index: _reproducibility(asked, index, reader) for index in INDICES} for reader in READERS],
    )
    internal = _sizes(rng, _PAIRED_SIZE, PAIRS)
    manual = np.stack([internal * np.exp(repeats.log_change), internal])
    for patient in range(PAIRS):
        for place, site in enumerate(PAPER.sites):
            of_the_case = (f"B{patient + 1:02}-{site}", f"B{patient + 1:02}", "test2", "", site)
            yield _examination(
                of_the_case,
                manual[place, :, patient],
                repeats.differences_pct[place, :, patient],
                dss[place, :, patient],
            )


def _examination(of_the_case: tuple[str, ...], manual: Floats, differences: Floats, dss: Floats) -> Examination:
    volumes = dict(zip(READERS, (other_volume(manual, differences), manual), strict=True))
    return Examination(
        *of_the_case,
        volumes_cm3={
            (reader, organ): round(float(found[place]), _VOLUME_DIGITS)
            for reader, found in volumes.items()
            for place, organ in enumerate(ORGAN_KEYS)
        },
        dss={organ: float(dss[place]) for place, organ in enumerate(ORGAN_KEYS)},
    )


def _dss_by_condition(rng: np.random.Generator, asked: Asked, organ: str) -> Floats:
    spreads = {name: _spread(asked, "table2", name, organ, PER_CONDITION) for name in PAPER.conditions}
    whole = _spread(asked, "table2", "total", organ, PER_CONDITION * len(PAPER.conditions))
    groups = draw_groups(rng, spreads, whole)
    groups = meet_kruskal_wallis(rng, groups, asked.get(("table2", "p", organ, "p"), FREE))
    return np.concatenate([rng.permutation(sample) for sample in groups.values()]).round(_DSS_DIGITS)


def _dss_by_site(rng: np.random.Generator, asked: Asked, organ: str) -> Floats:
    row = f"dss_{organ}"
    groups = draw_groups(rng, {site: _spread(asked, "table4", row, site, PAIRS) for site in PAPER.sites})
    external, internal = (groups[site].round(_DSS_DIGITS) for site in PAPER.sites)
    external = rng.permutation(external)
    internal = meet_wilcoxon(rng, external, internal, asked.get(("table4", row, "p", "p"), FREE))
    return np.stack([external, internal])


def _sizes(rng: np.random.Generator, sizes: tuple[tuple[float, float], ...], n: int) -> Floats:
    """Volumes, (organ, n), lognormal and cut at two SD."""
    logs = np.clip(rng.standard_normal((len(sizes), n)), -2, 2)
    return np.array([median * np.exp(sd * log) for (median, sd), log in zip(sizes, logs, strict=True)])


def _ages(rng: np.random.Generator, asked: Asked, dataset: str, n: int) -> Floats:
    mean, sd = (asked.get(("table1", "age", dataset, name), FREE) for name in ("mean", "sd"))
    youngest, oldest = ((age, age) for age in _AGES)
    mean = mean if np.isfinite(mean[0]) else (50.0, 51.0)
    sample = draw_groups(rng, {dataset: Spread(n, mean, sd, youngest, oldest)})[dataset]
    return rng.permutation(sample).round(2)


def _sexes(rng: np.random.Generator, asked: Asked, dataset: str, n: int) -> list[str]:
    men = _count(asked, "sex:M", dataset, n // 2)
    return list(rng.permutation(["M"] * men + ["F"] * (n - men)))


def _thicknesses(rng: np.random.Generator, asked: Asked, dataset: str, n: int) -> list[float]:
    """5 mm where that is asked for, 3 mm elsewhere (not in the paper)."""
    usual = _count(asked, "slice_thickness:5 mm", dataset, n)
    return [float(mm) for mm in rng.permutation([5.0] * usual + [3.0] * (n - usual))]


def _count(asked: Asked, row: str, dataset: str, otherwise: int) -> int:
    low, high = asked.get(("table1", row, dataset, "count"), FREE)
    return round((low + high) / 2) if np.isfinite(low) else otherwise


def _spread(asked: Asked, table: str, row: str, column: str, n: int) -> Spread:
    names = ("mean", "sd", "minimum", "maximum")
    return Spread(n, *(asked.get((table, row, column, name), FREE) for name in names))


def _agreement(asked: Asked, table: str, row: str, column: str, p_column: str = "") -> Agreement:
    bias, half_width = (asked.get((table, row, column, name), FREE) for name in ("bias", "half_width"))
    return Agreement(bias, half_width, asked.get((table, row, p_column, "p"), FREE))


def _reproducibility(asked: Asked, index: str, reader: str) -> Reproducibility:
    names = ("rc_pct", "ci_lower", "ci_upper")
    return Reproducibility(*(asked.get(("reproducibility", index, reader, name), FREE) for name in names))
