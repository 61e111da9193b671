"""Rates of false and true winners of a sweep by simulation: the numbers of docs/sweeps.md.

Run from the root of the repository: python tests/evaluation/statistics/choice_simulation.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import stats

from liverspleen.evaluation.statistics.seeds_and_cases import seed_case_difference, seed_case_mean

MANY = 10_000  # studies; Monte Carlo standard error of 5 %: 0.22 %
SEED = 1
LOSS: Final = 0.04  # mean of 1 - DSS

Rule = Callable[[np.ndarray, np.ndarray], bool]
"""Whether the first table of seeds × cases is shown to be better than the second."""


@dataclass(frozen=True)
class Sweep:
    """A sweep: `trials` configurations are searched with one seed each, the `leaders` best get fresh `seeds`.

    SDs are in units of `case_sd` = 1: `seed_sd` of a training, `residual_sd` of case by seed, `own_sd` of case by
    configuration (each configuration is better in some cases, with the same mean over all). Every second configuration
    has `unequal` times the `seed_sd`. `skewed`: the scores are DSS, 1 - a lognormal loss of mean `LOSS` whose logarithm
    has 0.6 times these SDs, so that all configurations have the same mean. `gaps` are true means, negative if worse.
    """

    leaders: int = 2
    seeds: int = 5
    cases: int = 20
    trials: int = 20
    seed_sd: float = 0.2
    residual_sd: float = 0.3
    own_sd: float = 0.0
    unequal: float = 1.0
    skewed: bool = False
    gaps: tuple[float, ...] = ()

    def study(self, rng: np.random.Generator) -> Study:
        """Simulate search and confirmation of a sweep; with gaps all configurations are leaders, without a search."""
        count = len(self.gaps) or self.trials
        case = rng.standard_normal(self.cases)
        own = self.own_sd * rng.standard_normal((count, self.cases))
        seed_sds = self.seed_sd * np.where(np.arange(count) % 2, self.unequal, 1.0)
        true = np.array(self.gaps or [0.0] * count)

        def scores(chosen: np.ndarray, seeds: int) -> np.ndarray:
            size = (chosen.size, seeds, self.cases)
            seed = seed_sds[chosen, None, None] * rng.standard_normal(size[:2])[..., None]
            latent = case + own[chosen][:, None] + seed + self.residual_sd * rng.standard_normal(size)
            if not self.skewed:
                return true[chosen][:, None, None] + latent
            variances = 1 + self.own_sd**2 + seed_sds[chosen] ** 2 + self.residual_sd**2
            return 1 - LOSS * np.exp(-0.6 * latent - 0.18 * variances[:, None, None])

        configurations = np.arange(count)
        search = scores(configurations, 1).mean(axis=(1, 2))
        chosen = configurations if self.gaps else np.argsort(-search)[: self.leaders]
        return Study(search[chosen], scores(chosen, self.seeds), true[chosen])


@dataclass(frozen=True)
class Study:
    """The leaders of one sweep: search scores, confirmation scores (leader, seed, case), true means."""

    search: np.ndarray
    tables: np.ndarray
    true: np.ndarray


def ours(first: np.ndarray, second: np.ndarray) -> bool:
    """The rule of `choose`."""
    ci = seed_case_difference(first, second).difference_ci
    return ci is not None and ci[0] > 0


def satterthwaite(first: np.ndarray, second: np.ndarray) -> bool:
    """The sum of the same variances (with the residual twice), with Satterthwaite's degrees of freedom."""
    by_case = first.mean(axis=0) - second.mean(axis=0)
    parts = [(by_case.var(ddof=1) / by_case.size, by_case.size - 1)]
    parts += [(t.mean(axis=1).var(ddof=1) / len(t), len(t) - 1) for t in (first, second)]
    total = sum(part for part, _ in parts)
    df = total**2 / sum(part**2 / df for part, df in parts)
    return bool(by_case.mean() > stats.t.ppf(0.975, df) * np.sqrt(total))


def winner(tables: np.ndarray, rule: Rule = ours) -> int | None:
    """The leader shown to be better than every other one."""
    order = np.argsort(-tables.mean(axis=(1, 2)))
    return int(order[0]) if all(rule(tables[order[0]], tables[other]) for other in order[1:]) else None


def winner_rate(sweep: Sweep, studies: int = MANY, *, rule: Rule = ours, seed: int = SEED) -> float:
    """Fraction of sweeps with a winner."""
    rng = np.random.default_rng(seed)
    return sum(winner(sweep.study(rng).tables, rule) is not None for _ in range(studies)) / studies


def false_winner_rate(sweep: Sweep, studies: int = MANY, *, rule: Rule = ours) -> float:
    """Fraction of sweeps with a winner that is not truly better than all others."""
    rng = np.random.default_rng(SEED)
    wrong = 0
    for _ in range(studies):
        study = sweep.study(rng)
        won = winner(study.tables, rule)
        wrong += won is not None and (study.true >= study.true[won]).sum() > 1
    return wrong / studies


def second_look_rate(sweep: Sweep, studies: int = MANY) -> float:
    """Fraction of sweeps with a winner, at first or after the seeds were doubled because there was none."""
    rng = np.random.default_rng(SEED)
    found = 0
    for _ in range(studies):
        tables = replace(sweep, seeds=2 * sweep.seeds).study(rng).tables
        found += winner(tables[:, : sweep.seeds]) is not None or winner(tables) is not None
    return found / studies


def false_exclusion_rate(sweep: Sweep, studies: int = MANY) -> float:
    """Fraction of null sweeps in which a given leader (as good as all others) is shown worse than the apparent best."""
    rng = np.random.default_rng(SEED)
    excluded = 0
    for _ in range(studies):
        tables = sweep.study(rng).tables
        best = int(np.argmax(tables.mean(axis=(1, 2))))
        other = int(rng.integers(len(tables)))
        excluded += best != other and ours(tables[best], tables[other])
    return excluded / studies


def curse(sweep: Sweep, studies: int = MANY) -> tuple[float, float]:
    """Excess of the best search score over the true mean, and the confirmed mean of the same leader, in seed SDs."""
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(studies):
        study = replace(sweep, leaders=1).study(rng)
        # The cases are the same in both, so the confirmed mean estimates the same quantity as the search.
        found.append((study.search[0], study.tables[0].mean()))
    search, confirmed = np.array(found).T
    sd = np.hypot(sweep.seed_sd, sweep.residual_sd / np.sqrt(sweep.cases))
    return float((search - confirmed).mean() / sd), float(confirmed.mean() / sd)


def coverage(sweep: Sweep, studies: int = MANY) -> float:
    """How often the interval of the mean of a configuration contains the true mean."""
    rng = np.random.default_rng(SEED)
    alone = replace(sweep, gaps=(0.0,))
    truth = 1 - LOSS if sweep.skewed else 0.0
    hits = 0
    for _ in range(studies):
        ci = seed_case_mean(alone.study(rng).tables[0]).mean_ci
        hits += ci is not None and ci[0] <= truth <= ci[1]
    return hits / studies


def power(
    difference: float, *, seeds: int, cases: int = 20, leaders: int = 2, rule: Rule = ours, studies: int
) -> float:
    """How often the one better leader is the winner; `difference` is in SDs of the means of seeds."""
    base = Sweep(seeds=seeds, cases=cases)
    sd = float(np.hypot(base.seed_sd, base.residual_sd / np.sqrt(cases)))
    sweep = replace(base, gaps=(0.0, *[-difference * sd] * (leaders - 1)))
    rng = np.random.default_rng(SEED)
    return sum(winner(sweep.study(rng).tables, rule) == 0 for _ in range(studies)) / studies


def seeds_needed(difference: float, *, studies: int = MANY // 5) -> int:
    """The smallest number of seeds per leader that finds the better of two with a power of 80 %."""
    return next(seeds for seeds in range(2, 100) if power(difference, seeds=seeds, studies=studies) >= 0.8)


NULLS: Final[dict[str, Sweep]] = {
    "seeds matter most": Sweep(seed_sd=1.0, residual_sd=0.3),
    "seeds matter a little": Sweep(seed_sd=0.05, residual_sd=0.3),
    "no seed effect but case by case": Sweep(seed_sd=0.0, residual_sd=0.5),
    "seed SD 5 times as large in half of them": Sweep(seed_sd=0.1, unequal=5.0),
    "seed SD 20 times as large in half of them": Sweep(seed_sd=0.02, unequal=20.0),
    "better in some cases, worse in others": Sweep(seed_sd=0.1, own_sd=0.5),
    "the same, unequal seeds": Sweep(seed_sd=0.1, own_sd=0.5, unequal=5.0),
    "skewed DSS": Sweep(skewed=True),
    "skewed DSS, unequal seeds": Sweep(skewed=True, seed_sd=0.1, unequal=5.0),
}
"""Sweeps of configurations that are truly equally good."""

SIZES: Final = ((2, 3, 5), (2, 3, 20), (2, 5, 5), (2, 5, 20), (2, 10, 50), (3, 5, 20), (5, 5, 20), (8, 5, 20))
"""Leaders, seeds, cases."""


def sized(sweep: Sweep, size: Sequence[int]) -> Sweep:
    """The sweep with these numbers of leaders, seeds and cases."""
    leaders, seeds, cases = size
    return replace(sweep, leaders=leaders, seeds=seeds, cases=cases)


def _rows(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(map(str, heads)), ["---"] * len(list(heads)), *([_cell(v) for v in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"


def _cell(value: object) -> str:
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Print the tables of docs/sweeps.md."""
    write = sys.stdout.write
    heads = ["equally good configurations", *(f"{k} × {s} × {n}" for k, s, n in SIZES)]
    write(_rows(heads, ([name, *(winner_rate(sized(s, z)) for z in SIZES)] for name, s in NULLS.items())))
    hard = {"two equally good, one far worse": (0.0, 0.0, -9.0), "two equally good, six far worse": (0, 0, *[-9] * 6)}
    cells = [(3, 20), (5, 20), (10, 20)]
    write(
        _rows(
            ["false winner", *(f"{s} seeds" for s, _ in cells)],
            (
                [name, *(false_winner_rate(Sweep(seeds=s, cases=n, gaps=gaps)) for s, n in cells)]
                for name, gaps in hard.items()
            ),
        )
    )
    pair = Sweep(gaps=(0.0, 0.0))
    unequal = [
        replace(pair, seeds=s, cases=n, seed_sd=1.0 / ratio, residual_sd=0.1, own_sd=own, unequal=ratio)
        for s, n, ratio, own in ((3, 20, 5, 0), (3, 20, 10, 1.5), (5, 20, 5, 0), (5, 20, 10, 1.5), (10, 20, 10, 0))
    ]
    write(
        _rows(
            ["one noisy, one not", *(f"{s.seeds} seeds, {s.unequal:g} times, own SD {s.own_sd:g}" for s in unequal)],
            (
                [name, *(winner_rate(s, rule=rule) for s in unequal)]
                for name, rule in (("ours", ours), ("Satterthwaite", satterthwaite))
            ),
        )
    )
    sizes = [(s, n) for s in (3, 5, 10) for n in (5, 20, 50)]
    write(
        _rows(
            ["coverage of a mean", *(f"{s} × {n}" for s, n in sizes)],
            (
                [name, *(coverage(replace(NULLS[name], seeds=s, cases=n)) for s, n in sizes)]
                for name in ("seeds matter most", "seeds matter a little", "skewed DSS")
            ),
        )
    )
    write(
        _rows(
            ["excluded although as good", "fraction"],
            ((k, false_exclusion_rate(Sweep(leaders=k))) for k in (2, 3, 5, 8)),
        )
    )
    looks = [(s, second_look_rate(Sweep(seeds=s, seed_sd=1.0))) for s in (3, 5, 10)]
    write(_rows(["seeds, doubled if there is no winner", "winner of two equally good"], looks))
    curses = [(n, *curse(Sweep(trials=n), MANY // 2)) for n in (5, 10, 20, 50, 100)]
    write(_rows(["trials", "best search score − its fresh mean, SD"], ((n, f"{bias:.2f}") for n, bias, _ in curses)))
    steps = (1.0, 1.5, 2.0, 3.0, 4.0)
    many = MANY // 5
    designs = [(s, k, rule) for s in (3, 5, 10, 20) for k, rule in ((2, ours), (2, satterthwaite), (3, ours))]
    write(
        _rows(
            ["power, difference in SD of seeds", *map(str, steps)],
            (
                [
                    f"{s} seeds, {k} leaders{', Satterthwaite' if rule is satterthwaite else ''}",
                    *(power(d, seeds=s, leaders=k, rule=rule, studies=many) for d in steps),
                ]
                for s, k, rule in designs
            ),
        )
    )
    write(_rows(["difference in SD of seeds", "seeds for 80 %"], ((f"{d:g}", seeds_needed(d)) for d in steps)))


if __name__ == "__main__":
    main()
