"""Removal of small parts from predicted label maps, if validation cases support it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.metrics.connected_components import Dropped, main_parts
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure

MAIN_PARTS: Final = "main_parts"
RULES: Final[Mapping[str, Callable[[LabelMap, Structure], tuple[LabelMap, Dropped]]]] = MappingProxyType(
    {MAIN_PARTS: main_parts}
)
"""Rules that can be applied to a structure, by their name in a model package."""

LARGEST_LOSS: Final = 0.005
"""Largest decrease of the DSS of a single validation case with which a rule is adopted.

A mean can rise although one patient loses a part of the liver. Differences below 0.005 are those of a contour's edge.
"""

LEAST_CASES: Final = 5
"""Number of validation cases that a rule needs to be adopted; one or two cases say nothing about other cases."""


@dataclass(frozen=True)
class Postprocessed:
    """The resulting label map, and the dropped parts of each structure with a rule."""

    label_map: LabelMap
    dropped: Mapping[Structure, Dropped]


def postprocess(label_map: LabelMap, rules: Mapping[Structure, str]) -> Postprocessed:
    """Apply the rule of each structure; dropped voxels become background, and no other voxel changes.

    Without rules the label map is returned unchanged. A structure always keeps its largest part.

    Raises:
        InputError: LS-PRD-020 unknown rule.

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
    """Raise LS-PRD-020 for an unknown rule."""
    for structure, rule in rules.items():
        if rule not in RULES:
            message = (
                f"postprocessing rule {rule[:60]!r} of the {structure.key} is unknown, expected {' or '.join(RULES)}"
            )
            raise InputError(Issue("LS-PRD-020", message, "use the version of liverspleen that made the model"))


@dataclass(frozen=True)
class Evidence:
    """Effect of a rule on one structure in the validation cases.

    `cases` counts cases with a defined DSS, `undefined` those without (no voxel in either label map). Means are over
    `cases`, None without any. `better` and `worse` count cases whose DSS increases and decreases; `largest_loss` is the
    largest decrease.
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
    """The adopted rules, and the evidence for every structure."""

    rules: Mapping[Structure, str] = field(default_factory=dict)
    evidence: Mapping[Structure, Evidence] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return `rules` and `evidence` as plain values for JSON, by the keys of the structures."""
        return {
            "rules": {structure.key: rule for structure, rule in self.rules.items()},
            "evidence": {structure.key: asdict(found) for structure, found in self.evidence.items()},
        }


def choose_postprocessing(pairs: Iterable[tuple[LabelMap, LabelMap]]) -> Choice:
    """Decide for each structure whether to remove small parts, from pairs of predicted and reference label map.

    This is the method of nnU-Net (Isensee et al., Nat Methods 2021;18:203) with stricter conditions. A rule is adopted
    if there are at least `LEAST_CASES` cases, the mean DSS rises and no single case loses more than `LARGEST_LOSS`. The
    rule keeps every main part, not only the largest. Only cases whose reference covers the structure count. Pairs are
    read one by one and not kept in memory.

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
        reason = "the mean DSS rises and no case loses more than the limit"
    elif not any(gains):
        reason = "the rule changes no DSS"
    elif len(scores) < LEAST_CASES:
        reason = f"{counted(len(scores), 'case')}, expected at least {LEAST_CASES}"
    elif math.fsum(gains) > 0:
        reason = f"the DSS of a case falls by {largest_loss:.4f}, more than {LARGEST_LOSS}"
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
