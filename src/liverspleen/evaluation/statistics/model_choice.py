"""Comparison of the leading configurations of a sweep: the best one, if it exceeds the noise of seeds and cases.

The scores must come from trainings that were not used to select the leaders: the score by which a configuration was
selected out of many is too high (docs/sweeps.md shows by how much).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from liverspleen.evaluation.statistics.arrays import floats_of, labels_of
from liverspleen.evaluation.statistics.intervals import CONFIDENCE, Interval
from liverspleen.evaluation.statistics.samples import Floats, Result
from liverspleen.evaluation.statistics.seeds_and_cases import METHOD, SeedCaseMean, seed_case_difference, seed_case_mean

if TYPE_CHECKING:
    import pandas

Decision = Literal["winner", "no difference shown"]

COLUMNS: Final = ("configuration", "seed", "case_id", "score")


@dataclass(frozen=True)
class Confirmed(Result):
    """One configuration over its confirmation runs: its mean, the mean of each seed, and its worst condition.

    `n_seeds_undefined` counts runs without any score (failed). The worst condition is the one with the lowest mean
    over its cases; None if no case has a condition.
    """

    configuration: str
    n_seeds: int
    n_seeds_undefined: int
    n_cases: int
    mean: float | None
    mean_ci: Interval | None
    seed_sd: float | None
    seed_means: dict[str, float]
    worst_condition: str | None
    worst_mean: float | None
    worst_n_cases: int | None
    reason: str | None


@dataclass(frozen=True)
class FromBest(Result):
    """The mean of the best configuration minus that of another one; `shown` if the interval excludes 0."""

    configuration: str
    difference: float
    difference_ci: Interval | None
    shown: bool
    reason: str | None


@dataclass(frozen=True)
class Choice(Result):
    """The comparison of all configurations with the best one.

    `winner` is None unless `decision` is "winner". `best` has the highest mean, regardless of noise; `not_shown_worse`
    lists it and all that are not shown to be worse, by mean. `cases_left_out` are the excluded cases, which have no
    score in one of the runs. `cautions` are limitations of the comparison. `reason` says why there is no winner.
    """

    decision: Decision
    winner: str | None
    best: str | None
    not_shown_worse: tuple[str, ...]
    configurations: tuple[Confirmed, ...]
    differences: tuple[FromBest, ...]
    n_cases: int
    cases_left_out: tuple[str, ...]
    cautions: tuple[str, ...]
    confidence: float
    method: str
    reason: str | None


def choose(
    scores: pandas.DataFrame,
    *,
    confidence: float = CONFIDENCE,
    conditions: Mapping[str, str] | None = None,
    fraction: bool = False,
) -> Choice:
    """Choose the best of several configurations, or decide that no difference is shown.

    `scores` has one row per confirmation run and case: `configuration, seed, case_id, score` (more is better; NaN is
    undefined). `conditions` gives the condition of cases. `fraction`: scores are in [0, 1], and so are the intervals of
    means (`seed_case_mean`). For a winner, the interval of the difference from *every* other configuration excludes 0
    (`seed_case_difference`). Each test has the full level, since all of them must reject (intersection-union). All
    configurations are compared on the cases that have a score in every run.

    Raises:
        ValueError: a column or one of its labels is missing, a run has a case twice, or a score is infinite.

    >>> import pandas
    >>> rows = [(c, s, k, q + 0.001 * s + 0.01 * k) for c, q in (("a", 0.9), ("b", 0.8)) for s in range(5)
    ...         for k in range(4)]
    >>> found = choose(pandas.DataFrame(rows, columns=["configuration", "seed", "case_id", "score"]))
    >>> found.decision, found.winner
    ('winner', 'a')
    """
    tables, seeds, cases, excluded = _tables(scores)
    runs = {name: _defined(table) for name, table in tables.items()}
    means = {name: seed_case_mean(table, confidence=confidence, fraction=fraction) for name, table in tables.items()}
    ordered = sorted((name for name in tables if means[name].mean is not None), key=lambda n: (-_mean(means[n]), n))
    differences = tuple(_from_best(ordered[0], name, runs, confidence) for name in ordered[1:])
    won = bool(differences) and all(found.shown for found in differences)
    undefined = [name for name in tables if name not in ordered]
    return Choice(
        decision="winner" if won else "no difference shown",
        winner=ordered[0] if won else None,
        best=ordered[0] if ordered else None,
        not_shown_worse=(*ordered[:1], *(found.configuration for found in differences if not found.shown)),
        configurations=tuple(
            _confirmed(name, tables[name], seeds[name], means[name], cases, conditions or {})
            for name in [*ordered, *undefined]
        ),
        differences=differences,
        n_cases=len(cases),
        cases_left_out=excluded,
        cautions=_cautions(tables, excluded),
        confidence=confidence,
        method=next(iter(means.values())).method if means else METHOD,
        reason=None if won else _reason(ordered, differences),
    )


def _tables(
    scores: pandas.DataFrame,
) -> tuple[dict[str, Floats], dict[str, list[str]], tuple[str, ...], tuple[str, ...]]:
    """Return the seeds × cases table and the seeds of each configuration, the common cases, and the excluded cases."""
    if missing := [name for name in COLUMNS if name not in scores.columns]:
        raise ValueError(f"scores have no column {', '.join(missing)}")
    keys = ["configuration", "seed", "case_id"]
    if scores.duplicated(keys).any():
        raise ValueError("scores have two rows for one case of a run")
    for name in keys:
        labels_of(scores[name], f"values of {name}")
    scores = scores.assign(score=floats_of(scores["score"], "scores"))
    wide = scores.set_index(keys)["score"].unstack("case_id").sort_index()
    values = wide.to_numpy()
    finished = ~np.isnan(values).all(axis=1)
    common = ~np.isnan(values[finished]).any(axis=0) if finished.any() else np.zeros(values.shape[1], dtype=bool)
    names = wide.index.get_level_values("configuration").astype(str)
    numbers = wide.index.get_level_values("seed").astype(str)
    tables = {name: values[names == name][:, common] for name in dict.fromkeys(names)}
    seeds = {name: [*numbers[names == name]] for name in tables}
    cases = [*map(str, wide.columns)]
    inside = tuple(case for case, kept in zip(cases, common, strict=True) if kept)
    return tables, seeds, inside, tuple(case for case in cases if case not in set(inside))


def _defined(table: Floats) -> Floats:
    """Return the runs that have scores; a run has scores for all of these cases or for none."""
    return table[~np.isnan(table).any(axis=1)]


def _mean(found: SeedCaseMean) -> float:
    assert found.mean is not None  # configurations without a mean are not in the order
    return found.mean


def _from_best(best: str, other: str, runs: Mapping[str, Floats], confidence: float) -> FromBest:
    found = seed_case_difference(runs[best], runs[other], confidence=confidence)
    shown = found.difference_ci is not None and found.difference_ci.lower > 0
    return FromBest(other, found.difference, found.difference_ci, shown, found.reason)


def _confirmed(
    name: str,
    table: Floats,
    seeds: Sequence[str],
    found: SeedCaseMean,
    cases: Sequence[str],
    conditions: Mapping[str, str],
) -> Confirmed:
    by_seed = {seed: float(row.mean()) for seed, row in zip(seeds, table, strict=True) if row.size}
    worst = _worst(_defined(table), cases, conditions)
    return Confirmed(
        configuration=name,
        n_seeds=found.n_seeds,
        n_seeds_undefined=found.n_seeds_undefined,
        n_cases=found.n_cases,
        mean=found.mean,
        mean_ci=found.mean_ci,
        seed_sd=found.seed_sd,
        seed_means={seed: mean for seed, mean in by_seed.items() if not math.isnan(mean)},
        worst_condition=worst[0] if worst else None,
        worst_mean=worst[1] if worst else None,
        worst_n_cases=worst[2] if worst else None,
        reason=found.reason,
    )


def _worst(table: Floats, cases: Sequence[str], conditions: Mapping[str, str]) -> tuple[str, float, int] | None:
    """Return the condition with the lowest mean, this mean, and its number of cases."""
    names = np.array([conditions.get(case, "") for case in cases])
    means = {str(name): table[:, names == name] for name in np.unique(names) if name}
    found = [(name, float(part.mean()), part.shape[1]) for name, part in means.items() if part.size]
    return min(found, key=lambda item: item[1], default=None)


def _cautions(tables: Mapping[str, Floats], excluded: Sequence[str]) -> tuple[str, ...]:
    failed = {name: (len(table) - len(_defined(table)), len(table)) for name, table in tables.items()}
    cautions = [
        f"{name}: {count} of {total} runs have no score; the mean of the finished runs is too high if poor runs fail "
        "more often"
        for name, (count, total) in failed.items()
        if count
    ]
    if excluded:
        cautions.append(f"excluded, because a run has no score for them: {', '.join(excluded)}")
    return tuple(cautions)


def _reason(ordered: Sequence[str], differences: Sequence[FromBest]) -> str:
    if not ordered:
        return "no case has a score in every run"
    if not differences:
        return "only 1 configuration, so there is no comparison"
    undefined = dict.fromkeys(found.reason for found in differences if found.reason)
    if undefined:
        return "; ".join(map(str, undefined))
    return "the difference is within the noise of seeds and cases"
