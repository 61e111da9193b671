"""The words that a cohort may use for datasets, conditions and sites, their order in tables, and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

DEVELOPMENT = "development"
"""The dataset that is trained on; an empty dataset counts as it, every other name is a test set."""

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
    """The words that `dataset`, `condition` and `site` may hold, in the order of the tables; each may be empty too.

    The defaults are those of the paper. The first dataset that is not trained on is that of Tables 2 and 3, the second
    that of Table 4 and reproducibility; where there is one alone, it is that of all. The first two sites are those of a
    pair of CTs. `labels` says how a word is printed; one without a label is printed as it is.

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
        """The dataset of Tables 2 and 3, and that of Table 4 and reproducibility."""
        first, *others = [name for name in self.datasets if name != DEVELOPMENT] or ["test"]
        return first, others[0] if others else first

    @property
    def pair(self) -> tuple[str, ...]:
        """The two sites of a pair of CTs; fewer than two where the vocabulary has fewer."""
        return self.sites[:2]

    def label(self, word: str) -> str:
        """How a word is printed."""
        return self.labels.get(word, word)


PAPER: Final = Vocabulary()
"""The words of the paper."""


def in_order(present: Iterable[str], words: Sequence[str]) -> list[str]:
    """What is present, each once: the words in their order, then all others by name.

    >>> in_order(["other", "alpha", "zeta", "alpha"], ["zeta", "alpha", "absent"])
    ['zeta', 'alpha', 'other']
    """
    found = set(present)
    return [*(word for word in words if word in found), *sorted(found.difference(words))]
