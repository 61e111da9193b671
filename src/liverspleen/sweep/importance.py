"""Importance of each parameter for the search scores, compared with its importance for shuffled scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from liverspleen.errors import counted
from liverspleen.sweep.leaderboard_study import Axis, StudyFiles

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MIN_TRIALS: Final = 20
"""Minimum number of trials. With fewer, the best tenth that the method compares with all trials is one trial."""

SHUFFLES: Final = 200
_SEED: Final = 0

METHOD: Final = (
    "PED-ANOVA (Watanabe et al., IJCAI 2023; Optuna): how much the distribution of a parameter in the best tenth of "
    "the search trials differs from that in all of them, as a fraction of the sum. It describes this search only, "
    "ignores interactions, and depends on the sampler, which prefers regions with good scores."
)


@dataclass(frozen=True)
class Importances:
    """Fractions of importance by parameter, largest first; `noise` is their 95th percentile over shuffled scores.

    Both are empty, with a `reason`, if they are undefined. A fraction that is not above its noise shows no importance.
    """

    n: int
    fractions: dict[str, float]
    noise: dict[str, float]
    method: str
    reason: str | None


def importances(study: StudyFiles) -> Importances:
    """Return the importances of the parameters for the DSS of the complete search trials."""
    trials = study.phase("search", "complete")
    trials = trials[trials["dss"].notna()]
    values = {axis.name: [axis.value(text) for text in trials[axis.name]] for axis in study.axes if axis.name in trials}
    axes = [axis for axis in study.axes if axis.name in values and None not in values[axis.name]]
    axes = [axis for axis in axes if len(set(values[axis.name])) > 1]
    scores = trials["dss"].tolist()
    if reason := _reason(len(scores), axes, scores):
        return Importances(len(scores), {}, {}, METHOD, reason)
    points = [{axis.name: _optuna_value(axis, values[axis.name][row]) for axis in axes} for row in range(len(scores))]
    rng = np.random.default_rng(_SEED)
    with _optuna_warnings_only():
        found = _fractions(axes, points, scores)
        shuffled = [_fractions(axes, points, rng.permutation(scores).tolist()) for _ in range(SHUFFLES)]
    noise = {axis.name: float(np.quantile([one[axis.name] for one in shuffled], 0.95)) for axis in axes}
    return Importances(len(scores), found, {name: noise[name] for name in found}, METHOD, None)


def _reason(n: int, axes: Sequence[Axis], scores: Sequence[float]) -> str | None:
    if n < MIN_TRIALS:
        return f"{counted(n, 'complete search trial')}, expected at least {MIN_TRIALS}"
    if len(axes) < 2:
        return "fewer than two parameters have different values"
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


def _distribution(axis: Axis, values: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.choices:
        return CategoricalDistribution(axis.choices)
    low, high = min(*values, *(axis.limits or ())), max(*values, *(axis.limits or ()))
    if axis.whole:
        return IntDistribution(int(low), int(high), log=axis.log)
    return FloatDistribution(low, high, log=axis.log)


def _optuna_value(axis: Axis, value: Any) -> Any:
    return int(value) if axis.whole else value


@contextmanager
def _optuna_warnings_only() -> Iterator[None]:
    """Suppress the log line that Optuna prints for each new study."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
