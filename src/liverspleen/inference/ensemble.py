"""Ensembles: several trained models whose softmax is averaged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from liverspleen.errors import Issue, counted
from liverspleen.inference.model import TrainedModel, same_weights, trained_model
from liverspleen.inference.untrusted.ensemble_file import CheckedEnsemble, checked_ensemble, same_model
from liverspleen.organs import ORGANS, Structure
from liverspleen.shipped import model_path
from liverspleen.storage import StrPath

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Ensemble:
    """Trained models on one device, taught the same organs; labels and probabilities are those of the mean softmax.

    `sha256` identifies the members and does not depend on their order. Everything else is what the members agree on:
    a rule of postprocessing is applied only if all members have it.
    """

    members: tuple[TrainedModel, ...]
    sha256: str

    @property
    def device(self) -> torch.device:
        """The device of all members."""
        return self.members[0].device

    @property
    def engine(self) -> str:
        """The engine of all members."""
        return self.members[0].engine

    @property
    def name(self) -> str:
        """The names of the members that have one."""
        return ", ".join(sorted({member.name for member in self.members} - {""}))

    @property
    def taught(self) -> tuple[Structure, ...]:
        """The organs that all members were taught."""
        return self.members[0].taught

    @property
    def phantoms_only(self) -> bool:
        """Whether a member was trained on phantoms only."""
        return any(member.phantoms_only for member in self.members)

    @property
    def tested(self) -> None:
        """Results on test cases: an ensemble has none of its own."""
        return None

    @cached_property
    def postprocessing(self) -> dict[Structure, str]:
        """The rules that all members have, by structure."""
        common = set.intersection(*(set(member.postprocessing.items()) for member in self.members))
        return {organ: rule for organ, rule in self.members[0].postprocessing.items() if (organ, rule) in common}

    @property
    def issues(self) -> tuple[Issue, ...]:
        """The issues of the members, each once, and LS-PRD-041 for postprocessing in which they differ."""
        found = dict.fromkeys(issue for member in self.members for issue in member.issues)
        for organ in ORGANS:
            ruled = sum(organ in member.postprocessing for member in self.members)
            if ruled and organ not in self.postprocessing:
                message = f"{ruled} of {counted(len(self.members), 'member')} have postprocessing of the {organ.key}"
                message += ", so it is not applied"
                hint = "use postprocess=none to segment without any postprocessing"
                found[Issue("LS-PRD-041", message, hint, severity="note")] = None
        return tuple(found)


Model = TrainedModel | Ensemble
"""What segments a CT; both have `members`."""


def load_ensemble(
    paths: StrPath | Sequence[StrPath], device: torch.device | str = "cpu", *, engine: str = "torch"
) -> Model:
    """Load one model, or an ensemble: an ensemble package, or several checkpoints and model packages.

    One model is returned as `load_model` returns it. The text `phantom` is the shipped model.

    Raises:
        InputError: the issues of `checked_ensemble` and of `load_model`; LS-MOD-027 two members have the same weights.
    """
    listed = [paths] if isinstance(paths, str | os.PathLike) else paths
    return loaded_ensemble(checked_ensemble([model_path(path) for path in listed]), device, engine=engine)


def loaded_ensemble(found: CheckedEnsemble, device: torch.device | str = "cpu", *, engine: str = "torch") -> Model:
    """Load models that were checked, as `load_ensemble` does."""
    members = tuple(trained_model(member, device, engine=engine) for member in found.members)
    for one, other in combinations(found.members, 2):
        if same_weights(one, other):
            raise same_model(one.path, other.path)
    return members[0] if len(members) == 1 else Ensemble(members, found.sha256)
