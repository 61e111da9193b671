"""The search space: parameters with their choices or limits."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

Value = str | int | float | bool
"""Value of a parameter: the text after `=` in an override, or a number."""


@dataclass(frozen=True)
class Choices:
    """A parameter with a list of values; null, lists and maps are stored as the text of their override."""

    name: str
    values: tuple[Value, ...]

    def suggest(self, trial: Trial) -> Value:
        """Return the value that Optuna suggests for the trial."""
        return trial.suggest_categorical(self.name, self.values)  # type: ignore[return-value]

    def distribution(self) -> BaseDistribution:
        """Return the distribution of Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def extremes(self) -> tuple[Value, ...]:
        """Return the values with which a configuration is composed as a check."""
        return self.values

    points = extremes


@dataclass(frozen=True)
class Range:
    """A parameter between two limits, both included; its values are whole numbers if both limits are."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def suggest(self, trial: Trial) -> Value:
        """Return the value that Optuna suggests for the trial."""
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return trial.suggest_float(self.name, self.low, self.high, log=self.log, step=self.step)

    def distribution(self) -> BaseDistribution:
        """Return the distribution of Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def extremes(self) -> tuple[Value, ...]:
        """Return the values with which a configuration is composed as a check."""
        return (self.low, self.high)

    def points(self) -> tuple[Value, ...]:
        """Return all values of a range with a step.

        Raises:
            ValueError: a range of real numbers has no step.
        """
        if self.step is None and not self.whole:
            raise ValueError(f"{self.name} is a range without step, expected a step for a grid")
        step = self.step or 1
        count = int((self.high - self.low) / step + 1e-9) + 1
        return tuple(self.low + index * step for index in range(count))


Parameter = Choices | Range


@dataclass(frozen=True)
class Space:
    """The parameters of a search.

    >>> space = Space.of({"network": ["small", "unet_2d"], "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True}})
    >>> [type(parameter).__name__ for parameter in space.parameters]
    ['Choices', 'Range']
    >>> Space.of({"loss": ["dice_ce", "focal"], "slices.count": {"low": 1, "high": 5, "step": 2}}).size
    6
    """

    parameters: tuple[Parameter, ...]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Space:
        """Return the space that a file of conf/search describes.

        A parameter is a list of choices, or a map of `low`, `high` and optionally `log`, `step`.

        Raises:
            ValueError: there is no parameter, or one has neither form or wrong limits.
        """
        if not written:
            raise ValueError("there is no parameter to search")
        return cls(tuple(_parameter(name, value) for name, value in written.items()))

    @property
    def size(self) -> int | None:
        """Number of points of the grid; None if a range has no step."""
        try:
            return len(list(self.grid()))
        except ValueError:
            return None

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yield every combination; the last parameter changes fastest.

        Raises:
            ValueError: a range of real numbers has no step.
        """
        names = [parameter.name for parameter in self.parameters]
        for values in itertools.product(*(parameter.points() for parameter in self.parameters)):
            yield dict(zip(names, values, strict=True))

    def suggest(self, trial: Trial) -> dict[str, Value]:
        """Return the configuration of the trial; values that it already has are kept."""
        return {parameter.name: parameter.suggest(trial) for parameter in self.parameters}

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the distributions of Optuna by parameter."""
        return {parameter.name: parameter.distribution() for parameter in self.parameters}


def configuration_id(values: Mapping[str, Value]) -> str:
    """Return eight hex digits that identify a configuration; the order of its parameters has no effect.

    >>> configuration_id({"a": 1, "b": "x"}) == configuration_id({"b": "x", "a": 1}) != configuration_id({"a": 2})
    True
    """
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:8]


def without_seed(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return a configuration without its seed, which trials of equal configurations differ in."""
    return {name: value for name, value in values.items() if name != "seed"}


def to_overrides(values: Mapping[str, Value]) -> list[str]:
    """Return the overrides of `train` for a configuration.

    >>> to_overrides({"network": "small", "optimizer.lr": 0.001, "trainer.compile": True})
    ['network=small', 'optimizer.lr=0.001', 'trainer.compile=true']
    """
    return [f"{name}={_text(value)}" for name, value in values.items()]


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _parameter(name: str, written: Any) -> Parameter:
    """Return the parameter that `written` describes, checked."""
    if isinstance(written, list | tuple) and written:
        values: tuple[Value, ...] = tuple(
            one if isinstance(one, str | int | float) else _override_text(one) for one in written
        )
        if len(set(map(repr, values))) < len(values):
            raise ValueError(f"{name} has the same choice twice")
        return Choices(name, values)
    if not isinstance(written, Mapping) or not {"low", "high"} <= written.keys() <= {"low", "high", "log", "step"}:
        raise ValueError(f"{name} is neither a list of choices nor a map of low, high and optionally log, step")
    low, high, log, step = written["low"], written["high"], bool(written.get("log")), written.get("step")
    numbers = [low, high, *([] if step is None else [step])]
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers):
        raise ValueError(f"{name} has a limit that is not a number")
    if not low < high or (log and not low > 0) or (log and step is not None) or (step is not None and not step > 0):
        raise ValueError(f"{name} needs low < high and a step above 0; with log it needs a low above 0 and no step")
    return Range(name, low, high, log, step)


def _override_text(value: Any) -> str:
    """Return None, a list or a map as the text of an override."""
    return json.dumps(value).replace('"', "")
