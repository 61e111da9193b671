"""Clearing crumbs from predicted label maps, and whether validation cases say that it helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.metrics.connected_components import Dropped, main_parts
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure

MAIN_PARTS: Final = "main_parts"
RULES: Final[Mapping[str, Callable[[LabelMap, Structure], tuple[LabelMap, Dropped]]]] = MappingProxyType(
    {MAIN_PARTS: main_parts}
)
"""What may be done to a structure, by the name it has in a model's package."""

LARGEST_LOSS: Final = 0.005
"""By how much the DSS of a single validation case may fall at most for a rule to be adopted.

A mean can rise while one patient loses a part of the liver; differences below 0.005 are those of a contour's edge.
"""


LEAST_CASES: Final = 5
"""Validation cases below which nothing is adopted: one or two say nothing about the next."""


@dataclass(frozen=True)
class Postprocessed:
    """The label map that is left, and what was dropped of each structure that has a rule."""

    label_map: LabelMap
    dropped: Mapping[Structure, Dropped]


def postprocess(label_map: LabelMap, rules: Mapping[Structure, str]) -> Postprocessed:
    """Apply each structure's rule; what is dropped becomes background, and no other voxel changes.

    Without rules it is the same label map. A structure that has voxels keeps its largest part, so none disappears.

    Raises:
        InputError: LS-PRD-020 a rule that this version does not know.

    >>> import numpy as np
    >>> from liverspleen.imaging import Geometry
    >>> labels = np.zeros((3, 9, 9), np.uint8); labels[:, :5] = Structure.LIVER; labels[0, 8, 8] = Structure.LIVER
    >>> done = postprocess(LabelMap(labels, Geometry((9, 9, 3), np.eye(4))), {Structure.LIVER: "main_parts"})
    >>> done.label_map.count(Structure.LIVER), done.dropped[Structure.LIVER].parts
    (135, 1)
    """
    reject_unknown(rules)
    dropped = {}
    for structure, rule in rules.items():
        label_map, dropped[structure] = RULES[rule](label_map, structure)
    return Postprocessed(label_map, dropped)


def reject_unknown(rules: Mapping[Structure, str]) -> None:
    """Raise LS-PRD-020 for a rule that this version does not know."""
    for structure, rule in rules.items():
        if rule not in RULES:
            message = f"postprocessing {rule[:60]!r} of the {structure.key} is unknown, expected {' or '.join(RULES)}"
            raise InputError(Issue("LS-PRD-020", message, "use the version of liverspleen that made the model"))


@dataclass(frozen=True)
class Evidence:
    """What validation cases say about a rule for one structure.

    `cases` have a defined DSS, `undefined` do not (no voxel in either label map). Means are over `cases`, None without
    any. `better` and `worse` count cases whose DSS rises and falls, `largest_loss` is the largest fall.
    """

    rule: str
    cases: int
    undefined: int
    mean_dss_before: float | None
    mean_dss_after: float | None
    better: int
    worse: int
    largest_loss: float
    adopted: bool
    reason: str


@dataclass(frozen=True)
class Choice:
    """The rules that validation speaks for, and the evidence for each structure, adopted or not."""

    rules: Mapping[Structure, str] = field(default_factory=dict)
    evidence: Mapping[Structure, Evidence] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """`rules` and `evidence` as plain values by the structures' keys, for JSON."""
        return {
            "rules": {structure.key: rule for structure, rule in self.rules.items()},
            "evidence": {structure.key: asdict(found) for structure, found in self.evidence.items()},
        }


def choose_postprocessing(pairs: Iterable[tuple[LabelMap, LabelMap]]) -> Choice:
    """Whether to clear crumbs, per structure, from pairs of predicted and reference label map of validation cases.

    The rule of nnU-Net (Isensee et al., Nat Methods 2021;18:203), made safer: adopted if there are `LEAST_CASES`, the
    mean DSS rises and no single case loses more than `LARGEST_LOSS`; and what is tried keeps every main part, not only
    the largest. Only cases count whose reference covers the structure. Pairs are looked at one by one and not kept.

    Raises:
        ValueError: a pair differs in shape.

    >>> import numpy as np
    >>> from liverspleen.imaging import Geometry
    >>> truth = np.zeros((3, 9, 9), np.uint8); truth[:, :5] = Structure.LIVER
    >>> with_crumb = truth.copy(); with_crumb[0, 8, 8] = Structure.LIVER
    >>> with_crumb, truth = (LabelMap(labels, Geometry((9, 9, 3), np.eye(4))) for labels in (with_crumb, truth))
    >>> choose_postprocessing([(with_crumb, truth)] * 5).rules
    {<Structure.LIVER: 1>: 'main_parts'}
    """
    scores: dict[Structure, list[tuple[float, float]]] = {organ: [] for organ in ORGANS}
    undefined = dict.fromkeys(ORGANS, 0)
    for predicted, reference in pairs:
        before = overlaps(predicted.labels, reference.labels)
        cleared = postprocess(predicted, dict.fromkeys(ORGANS, MAIN_PARTS)).label_map
        after = before if cleared is predicted else overlaps(cleared.labels, reference.labels)
        for organ in reference.covered:
            first, second = before[organ].dss, after[organ].dss
            if first is None or second is None:
                undefined[organ] += 1
            else:
                scores[organ].append((first, second))
    evidence = {organ: _evidence(scores[organ], undefined[organ]) for organ in ORGANS}
    return Choice({organ: found.rule for organ, found in evidence.items() if found.adopted}, evidence)


def _evidence(scores: list[tuple[float, float]], undefined: int) -> Evidence:
    gains = [after - before for before, after in scores]
    largest_loss = max((-gain for gain in gains), default=0.0)
    # fsum: the sign of a mean must not depend on the order of the cases
    adopted = len(scores) >= LEAST_CASES and math.fsum(gains) > 0 and largest_loss <= LARGEST_LOSS
    if adopted:
        reason = "the mean DSS rises and no case loses more than the bound"
    elif not any(gains):
        reason = "it changes no DSS"
    elif len(scores) < LEAST_CASES:
        reason = f"{len(scores)} cases, fewer than {LEAST_CASES}"
    elif math.fsum(gains) > 0:
        reason = f"a case loses {largest_loss:.4f}, more than {LARGEST_LOSS}"
    else:
        reason = "the mean DSS does not rise"
    return Evidence(
        rule=MAIN_PARTS,
        cases=len(scores),
        undefined=undefined,
        mean_dss_before=_mean([before for before, _ in scores]),
        mean_dss_after=_mean([after for _, after in scores]),
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        largest_loss=max(0.0, largest_loss),  # not -0.0
        adopted=adopted,
        reason=reason,
    )


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
