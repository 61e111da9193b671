"""Everything that determines the weights of a training; checkpoints record it, and resuming compares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from liverspleen.changed_keys import changed_keys

RECIPE_KEY: Final = "liverspleen_recipe"
"""Key of the recipe in a checkpoint; it is not part of a model package, because it has case ids."""

NOT_COMPARED: Final[Mapping[str, str]] = {
    "cohort": "is the path of a file; its hash and the cases are compared",
    "root": "is the path of a folder; the cases are compared",
    "split": "is the path of a file; its hash is compared",
    "cache": "is the path of a folder; the cases are compared",
    "folds": "is not a key of a single training",
    "workers": "is the number of trainings at once",
    "output": "is the path of the folder of the checkpoint",
    "train_fraction": "is used to draw the split, whose hash is compared",
    "logger": "only logs",
    "vocabulary": "only lists the allowed values of a cohort",
    "trainer.steps": "can be increased later",
    "trainer.minutes": "gives the number of steps, which can be increased later",
    "trainer.validate_every": "does not change the weights",
    "trainer.workers": "does not change the batches",
    "trainer.threads": "is the hardware; the recorded number is used again unless another one is given",
    "trainer.accelerator": "is the hardware; a training can continue on another machine",
    "trainer.deterministic": "selects algorithms of the same operations",
    "trainer.patience": "ends a training, as trainer.steps does",
}
"""Keys and groups of `train` that a resumed training may change, each with the reason."""

REMOVED: Final[Mapping[str, Any]] = {}
"""Removed keys of `train`, with the value that has the same effect as the absence of the key.

Without an entry, no training that recorded the key can be resumed. Existing keys have this value in their schema
(`neutral=`); a new key must have one, or be in `NOT_COMPARED`.
"""


DECIDED_ONCE: Final = ("trainer.precision",)
"""Keys whose value `auto` is decided by the machine on which a training starts; a resumed training keeps it."""


def is_compared(key: str) -> bool:
    """Return whether this key of `train` must equal the recorded value when a training is resumed.

    >>> is_compared("optimizer.lr"), is_compared("trainer.steps"), is_compared("logger.wandb")
    (True, False, False)
    """
    return not {key, key.partition(".")[0]} & NOT_COMPARED.keys()


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the weights; trainings with equal recipes are the same training.

    `keys` are those of the configuration, by dotted name; `network.weights` is the hash of the file. `cohort` and
    `split` are hashes. `cases` has a hash of the stored content of each case, by side of the split and case_id, in
    their order; a training with a corrected label map is another training.
    """

    keys: Mapping[str, Any]
    cohort: str
    split: str
    cases: Mapping[str, Mapping[str, str]]

    def settled(self, recorded: Recipe) -> Recipe:
        """Return the recipe with the recorded value of each key of `DECIDED_ONCE` that is `auto` here.

        >>> at_start = Recipe({"trainer.precision": "32-true"}, "", "", {})
        >>> Recipe({"trainer.precision": "auto"}, "", "", {}).settled(at_start) == at_start
        True
        """
        kept = {
            key: recorded.keys[key] for key in DECIDED_ONCE if self.keys.get(key) == "auto" and key in recorded.keys
        }
        return replace(self, keys={**self.keys, **kept})

    def plain(self) -> dict[str, Any]:
        """Return the recipe as plain values for a checkpoint."""
        return asdict(self)

    def differences(self, recorded: Recipe, neutral: Mapping[str, Any]) -> list[str]:
        """Return all differences from the recorded recipe as texts; empty if the training can be resumed.

        `neutral` holds the values for keys that the recorded recipe does not have.
        """
        files = {
            name: (getattr(recorded, name)[:12], getattr(self, name)[:12])
            for name in ("cohort", "split")
            if getattr(recorded, name) != getattr(self, name)
        }
        return [
            *changed_keys(recorded.keys, self.keys, neutral),
            *(f"{name} had the hash {before}, now {after}" for name, (before, after) in files.items()),
            *_changed_cases(recorded.cases, self.cases),
        ]


def recorded_recipe(checkpoint: Mapping[str, Any]) -> Recipe | None:
    """Return the recipe in a checkpoint; None if it is damaged."""
    content = checkpoint.get(RECIPE_KEY)
    if not isinstance(content, dict) or content.keys() != {item.name for item in fields(Recipe)}:
        return None
    found = Recipe(**content)
    sides = found.cases.values() if isinstance(found.cases, dict) else [None]
    complete = all(isinstance(side, dict) and all(isinstance(one, str) for one in side.values()) for side in sides)
    texts = isinstance(found.cohort, str) and isinstance(found.split, str)
    return found if complete and texts and isinstance(found.keys, dict) else None


def _changed_cases(recorded: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return one text with the number of different cases and the first one; empty without differences."""
    before = {case: (side, content) for side, cases in recorded.items() for case, content in cases.items()}
    after = {case: (side, content) for side, cases in now.items() for case, content in cases.items()}
    changed = [case for case in {**before, **after} if before.get(case) != after.get(case)]
    if changed:
        first = changed[0]
        count = "1 case differs" if len(changed) == 1 else f"{len(changed)} cases differ"
        return [f"{count}, first '{first}' ({_reason(before.get(first), after.get(first))})"]
    same_order = all(list(cases) == list(now.get(side, ())) for side, cases in recorded.items())
    return [] if same_order else ["the order of the cases differs"]


def _reason(before: tuple[str, str] | None, after: tuple[str, str] | None) -> str:
    if before is None or after is None:
        return "added" if before is None else "missing"
    if before[0] != after[0]:
        return f"was a {before[0]} case, now a {after[0]} case"
    return "image or label map changed"
