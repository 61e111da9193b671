"""Which of the leading configurations of a sweep is better, if any: beyond the noise of seeds and of cases.

The scores must come from trainings that took no part in the choice of the leaders: the score by which a configuration
was picked out of many is too high (docs/sweeps.md has by how much).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

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
    over its cases; None where no case has a condition.
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
    """The best configuration's mean minus that of another one; shown if the interval excludes 0."""

    configuration: str
    difference: float
    difference_ci: Interval | None
    shown: bool
    reason: str | None


@dataclass(frozen=True)
class Choice(Result):
    """What may be said about the best configuration.

    `winner` is None unless `decision` is "winner". `best` has the highest mean, whatever the noise; `not_shown_worse`
    holds it and all that are not shown worse than it, by mean. `cases_left_out` lack a score in one of the runs.
    `cautions` say what the numbers do not tell. `reason` says why there is no winner.
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
) -> Choice:
    """The best of several configurations, or that no difference is shown.

    `scores` has one row per confirmation run and case: `configuration, seed, case_id, score` (more is better; NaN is
    undefined). `conditions` names the condition of cases. A winner's interval of the difference excludes 0 against
    *every* other configuration (`seed_case_difference`); testing each at the full level is enough, since all must
    hold (intersection-union). All configurations are compared on the cases that every run has a score for.

    Raises:
        ValueError: a column is missing, a run has a case twice, or a score is infinite.

    >>> import pandas
    >>> rows = [(c, s, k, q + 0.001 * s + 0.01 * k) for c, q in (("a", 0.9), ("b", 0.8)) for s in range(5)
    ...         for k in range(4)]
    >>> found = choose(pandas.DataFrame(rows, columns=["configuration", "seed", "case_id", "score"]))
    >>> found.decision, found.winner
    ('winner', 'a')
    """
    tables, seeds, cases, left_out = _tables(scores)
    runs = {name: _defined(table) for name, table in tables.items()}
    means = {name: seed_case_mean(table, confidence=confidence) for name, table in tables.items()}
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
        cases_left_out=left_out,
        cautions=_cautions(tables, left_out),
        confidence=confidence,
        method=METHOD,
        reason=None if won else _reason(ordered, differences),
    )


def _tables(
    scores: pandas.DataFrame,
) -> tuple[dict[str, Floats], dict[str, list[str]], tuple[str, ...], tuple[str, ...]]:
    """Seeds × cases of each configuration on the cases common to all runs; its seeds; those cases; those left out."""
    if missing := [name for name in COLUMNS if name not in scores.columns]:
        raise ValueError(f"scores have no column {', '.join(missing)}")
    keys = ["configuration", "seed", "case_id"]
    if scores.duplicated(keys).any():
        raise ValueError("scores hold a case of one run twice")
    if np.isinf(scores["score"].to_numpy(dtype=np.float64)).any():
        raise ValueError("scores are finite or NaN, no infinity")
    wide = scores.set_index(keys)["score"].astype(np.float64).unstack("case_id").sort_index()
    values = wide.to_numpy()
    ended = ~np.isnan(values).all(axis=1)
    common = ~np.isnan(values[ended]).any(axis=0) if ended.any() else np.zeros(values.shape[1], dtype=bool)
    names = wide.index.get_level_values("configuration").astype(str)
    numbers = wide.index.get_level_values("seed").astype(str)
    tables = {name: values[names == name][:, common] for name in dict.fromkeys(names)}
    seeds = {name: [*numbers[names == name]] for name in tables}
    cases = [*map(str, wide.columns)]
    inside = tuple(case for case, kept in zip(cases, common, strict=True) if kept)
    return tables, seeds, inside, tuple(case for case in cases if case not in set(inside))


def _defined(table: Floats) -> Floats:
    """The runs that have scores; a run either has them for all of these cases or for none."""
    return table[~np.isnan(table).any(axis=1)]


def _mean(found: SeedCaseMean) -> float:
    assert found.mean is not None  # those without one are not ordered
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
    """The condition with the lowest mean, that mean and its number of cases."""
    names = np.array([conditions.get(case, "") for case in cases])
    means = {str(name): table[:, names == name] for name in np.unique(names) if name}
    found = [(name, float(part.mean()), part.shape[1]) for name, part in means.items() if part.size]
    return min(found, key=lambda item: item[1], default=None)


def _cautions(tables: Mapping[str, Floats], left_out: Sequence[str]) -> tuple[str, ...]:
    failed = {name: (len(table) - len(_defined(table)), len(table)) for name, table in tables.items()}
    said = [
        f"{name}: {count} of {total} runs have no score; its mean is that of the runs that ended, which is too high if "
        "poor runs fail more often"
        for name, (count, total) in failed.items()
        if count
    ]
    if left_out:
        said.append(f"cases without a score in some run, left out everywhere: {', '.join(left_out)}")
    return tuple(said)


def _reason(ordered: Sequence[str], differences: Sequence[FromBest]) -> str:
    if not ordered:
        return "no case has a score in every run"
    if not differences:
        return "one configuration has nothing to be better than"
    undefined = dict.fromkeys(found.reason for found in differences if found.reason)
    if undefined:
        return "; ".join(map(str, undefined))
    return "the difference is within the noise of seeds and cases"
