"""What decides the weights of a training, as its checkpoints record it and a resumed training is compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from liverspleen.changed_keys import changed_keys

RECIPE_KEY: Final = "liverspleen_recipe"
"""The checkpoint's entry that holds it; no part of a model package, because it names cases."""

NOT_COMPARED: Final[Mapping[str, str]] = {
    "cohort": "names a file; hash and cases are compared",
    "root": "names a folder; the cases are compared",
    "split": "names a file; its hash is compared",
    "cache": "names a folder; the cases are compared",
    "output": "names the folder that holds the checkpoint",
    "train_fraction": "draws the split, whose hash is compared",
    "logger": "logs",
    "vocabulary": "says which words a cohort may hold",
    "trainer.steps": "more may be asked for later",
    "trainer.validate_every": "measures",
    "trainer.workers": "loads the same batches",
    "trainer.accelerator": "the hardware; a training may move to another machine",
    "trainer.deterministic": "chooses algorithms of the same operations",
    "trainer.patience": "ends a training, as trainer.steps does",
}
"""Keys of `train`, and whole groups, that a resumed training may change, each with the reason."""

REMOVED: Final[Mapping[str, Any]] = {}
"""Keys of `train` that were removed, with the value that stands for their absence.

Without an entry, no training that recorded the key can be resumed. Keys that exist state such a value in their schema
(`neutral=`); a key that is added later must have one, or stand in `NOT_COMPARED`.
"""


def is_compared(key: str) -> bool:
    """Whether a resumed training must have this key of `train` as its checkpoint recorded it.

    >>> is_compared("optimizer.lr"), is_compared("trainer.steps"), is_compared("logger.wandb")
    (True, False, False)
    """
    return not {key, key.partition(".")[0]} & NOT_COMPARED.keys()


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights; two trainings with the same one are the same training.

    `keys` are those of the configuration, by dotted name; `network.weights` is the hash of the file. `cohort` and
    `split` are hashes. `cases` holds, by side of the split and case_id in their order, a hash of what is stored of the
    case: a label map corrected in between makes another training.
    """

    keys: Mapping[str, Any]
    cohort: str
    split: str
    cases: Mapping[str, Mapping[str, str]]

    def plain(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    def differences(self, recorded: Recipe, neutral: Mapping[str, Any]) -> list[str]:
        """Every difference from the recorded one, each as text; empty if the training may go on.

        `neutral` holds the values that stand for keys which the recorded one does not know.
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
    """The recipe that a checkpoint holds; None if that is damaged."""
    content = checkpoint.get(RECIPE_KEY)
    if not isinstance(content, dict) or content.keys() != {item.name for item in fields(Recipe)}:
        return None
    found = Recipe(**content)
    sides = found.cases.values() if isinstance(found.cases, dict) else [None]
    whole = all(isinstance(side, dict) and all(isinstance(one, str) for one in side.values()) for side in sides)
    texts = isinstance(found.cohort, str) and isinstance(found.split, str)
    return found if whole and texts and isinstance(found.keys, dict) else None


def _changed_cases(recorded: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> list[str]:
    """How many cases differ and which comes first; at most one text."""
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
