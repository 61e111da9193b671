"""Importance of each parameter for the search scores, beside that for shuffled scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liverspleen.sweep.leaderboard_study import Axis, StudyFiles

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST: Final = 20
"""Fewest trials for importances: of fewer, the tenth that the method compares with all trials is one trial."""

SHUFFLES: Final = 200
_SEED: Final = 0

METHOD: Final = (
    "PED-ANOVA (Watanabe et al., IJCAI 2023; Optuna): how much the distribution of a parameter in the best tenth of "
    "the search trials differs from that in all of them, as a fraction of the sum. It describes this search only, "
    "ignores interactions, and depends on the sampler, which prefers regions with good scores."
)


@dataclass(frozen=True)
class Importances:
    """Shares by parameter, the largest first; `noise` is the 95th percentile of the share over shuffled scores.

    Both are empty, with a `reason`, where they are undefined. A share that is not above its noise shows no importance.
    """

    n: int
    fractions: dict[str, float]
    noise: dict[str, float]
    method: str
    reason: str | None


def importances(study: StudyFiles) -> Importances:
    """Importances of the parameters for the DSS of the complete search trials."""
    trials = study.phase("search", "complete")
    trials = trials[trials["dss"].notna()]
    values = {axis.name: [axis.value(text) for text in trials[axis.name]] for axis in study.axes if axis.name in trials}
    axes = [axis for axis in study.axes if axis.name in values and None not in values[axis.name]]
    axes = [axis for axis in axes if len(set(values[axis.name])) > 1]
    scores = trials["dss"].tolist()
    if reason := _reason(len(scores), axes, scores):
        return Importances(len(scores), {}, {}, METHOD, reason)
    points = [{axis.name: _plain(axis, values[axis.name][row]) for axis in axes} for row in range(len(scores))]
    rng = np.random.default_rng(_SEED)
    with _quiet():
        found = _fractions(axes, points, scores)
        shuffled = [_fractions(axes, points, rng.permutation(scores).tolist()) for _ in range(SHUFFLES)]
    noise = {axis.name: float(np.quantile([one[axis.name] for one in shuffled], 0.95)) for axis in axes}
    return Importances(len(scores), found, {name: noise[name] for name in found}, METHOD, None)


def _reason(n: int, axes: Sequence[Axis], scores: Sequence[float]) -> str | None:
    if n < FEWEST:
        return f"{n} complete search trials are too few: importances need at least {FEWEST}"
    if len(axes) < 2:
        return "fewer than two parameters varied"
    return "all search scores are the same" if len(set(scores)) == 1 else None


def _fractions(axes: Sequence[Axis], points: Sequence[dict[str, Any]], scores: Sequence[float]) -> dict[str, float]:
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    distributions = {axis.name: _distribution(axis, [point[axis.name] for point in points]) for axis in axes}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(params=point, distributions=distributions, value=score)
            for point, score in zip(points, scores, strict=True)
        ]
    )
    fractions = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: fraction if math.isfinite(fraction) else 0.0 for name, fraction in fractions.items()}


def _distribution(axis: Axis, met: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.choices:
        return CategoricalDistribution(axis.choices)
    low, high = min(*met, *(axis.limits or ())), max(*met, *(axis.limits or ()))
    if axis.whole:
        return IntDistribution(int(low), int(high), log=axis.log)
    return FloatDistribution(low, high, log=axis.log)


def _plain(axis: Axis, value: Any) -> Any:
    return int(value) if axis.whole else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Switch off Optuna's log line for each new study."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
