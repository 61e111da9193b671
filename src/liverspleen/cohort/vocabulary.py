"""Allowed values of datasets, conditions and sites in a cohort, with their order and labels in tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

DEVELOPMENT = "development"
"""The dataset for training; an empty dataset counts as development, each other name is a test set."""

_PAPER: Final[Mapping[str, str]] = {
    "development": "Development dataset",
    "test1": "Test dataset-1",
    "test2": "Test dataset-2",
    "healthy": "Healthy liver",
    "fatty": "Fatty liver disease",
    "cld": "Non-cirrhotic chronic liver disease",
    "cirrhosis": "Liver cirrhosis",
    "post_hepatectomy": "Post-hepatectomy",
}


@dataclass(frozen=True)
class Vocabulary:
    """Allowed values of `dataset`, `condition` and `site`, in the order of the tables; each may also be empty.

    The defaults are those of the paper. The first test set is used for Tables 2 and 3, the second for Table 4 and
    reproducibility; a single test set is used for all. The first two sites are those of paired examinations. `labels`
    gives the printed text of a value; a value without a label is printed unchanged.

    >>> mine = Vocabulary(conditions=("zeta", "alpha"), labels={"zeta": "Zeta disease"})
    >>> mine.label("zeta"), mine.label("alpha"), mine.tests, mine.pair
    ('Zeta disease', 'alpha', ('test1', 'test2'), ('external', 'internal'))
    """

    datasets: tuple[str, ...] = (DEVELOPMENT, "test1", "test2")
    conditions: tuple[str, ...] = ("healthy", "fatty", "cld", "cirrhosis", "post_hepatectomy")
    sites: tuple[str, ...] = ("external", "internal")
    labels: Mapping[str, str] = field(default_factory=lambda: dict(_PAPER), hash=False)

    @property
    def tests(self) -> tuple[str, str]:
        """Test set of Tables 2 and 3, and test set of Table 4 and reproducibility."""
        first, *others = [name for name in self.datasets if name != DEVELOPMENT] or ["test"]
        return first, others[0] if others else first

    @property
    def pair(self) -> tuple[str, ...]:
        """The two sites of paired examinations; fewer if the vocabulary has fewer sites."""
        return self.sites[:2]

    def label(self, value: str) -> str:
        """Return the printed text of a value."""
        return self.labels.get(value, value)


PAPER: Final = Vocabulary()
"""The vocabulary of the paper."""


def in_order(present: Iterable[str], order: Sequence[str]) -> list[str]:
    """Return the present values without repetition: first those of `order`, then the others by name.

    >>> in_order(["other", "alpha", "zeta", "alpha"], ["zeta", "alpha", "absent"])
    ['zeta', 'alpha', 'other']
    """
    found = set(present)
    return [*(value for value in order if value in found), *sorted(found.difference(order))]
