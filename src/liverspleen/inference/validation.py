"""Results of a model on its validation cases, per case in 3D, and the choice of postprocessing from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from liverspleen.cohort.checks import load_case
from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.evaluation.metrics.volume import organ_volume_cm3
from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.imaging.volume import LabelMap
from liverspleen.inference.model import TrainedModel
from liverspleen.organs import ORGANS, Structure


@dataclass
class Validation:
    """Scores and volumes of validation cases, added case by case; an undefined DSS does not count in n."""

    dss: dict[Structure, list[float]] = field(default_factory=lambda: {organ: [] for organ in ORGANS})
    volumes_cm3: dict[Structure, list[tuple[float, float]]] = field(
        default_factory=lambda: {organ: [] for organ in ORGANS}
    )
    """predicted and reference volume of the cases in which the organ is labelled"""
    cases: int = 0
    issues: list[Issue] = field(default_factory=list)

    def add(self, predicted: LabelMap, reference: LabelMap, labelled: Sequence[Structure]) -> None:
        """Add a case."""
        self.cases += 1
        found = overlaps(predicted.labels, reference.labels)
        for organ in labelled:
            if (dss := found[organ].dss) is not None:
                self.dss[organ].append(dss)
            self.volumes_cm3[organ].append((organ_volume_cm3(predicted, organ), organ_volume_cm3(reference, organ)))

    def plain(self) -> dict[str, Any]:
        """Return the results by structure, None without a case: DSS per case in 3D, bias of volumes in percent.

        The bias is the mean of 200 (predicted - reference) / (predicted + reference), as in Bland-Altman plots. It is
        undefined for a case without a voxel in either label map, which is not in `volume_n`.
        """
        return {
            "cases": self.cases,
            "failed": len({issue.case_id for issue in self.issues}),
            "structures": {organ.key: self._results(organ) for organ in ORGANS},
        }

    def _results(self, organ: Structure) -> dict[str, Any]:
        scores, volumes = self.dss[organ], self.volumes_cm3[organ]
        agreement = bland_altman([a for a, _ in volumes], [b for _, b in volumes], scale="percent") if volumes else None
        return {
            "n": len(scores),
            "dss_mean": fmean(scores) if scores else None,
            "dss_lowest": min(scores, default=None),
            "volume_n": agreement.n if agreement else 0,
            "volume_bias_pct": agreement.bias if agreement else None,
        }


def validate(
    model: TrainedModel, cases: Sequence[Case], *, on_case: Callable[[str], None]
) -> tuple[Validation, dict[str, Any]]:
    """Return the results of the cases and the choice of postprocessing as plain values; a rejected case is an issue.

    Cases are segmented one by one and not kept in memory.
    """
    from liverspleen.inference.postprocessing import choose_postprocessing

    found = Validation()
    choice = choose_postprocessing(_pairs(model, cases, found, on_case))
    return found, choice.plain()


def _pairs(
    model: TrainedModel, cases: Sequence[Case], found: Validation, on_case: Callable[[str], None]
) -> Iterator[tuple[LabelMap, LabelMap]]:
    from liverspleen.inference.segment import segment_volume

    for case in cases:
        try:
            ct, reference = load_case(case)
            assert reference is not None, "a case on a side of a split has a label map"
            predicted = segment_volume(ct, model).label_map
        except InputError as error:
            found.issues.extend(error.issues)
        else:
            known = tuple(organ for organ in case.labelled_structures if organ in predicted.covered)
            covered = LabelMap(reference.labels, reference.geometry, known)
            found.add(predicted, covered, known)
            yield predicted, covered
        on_case(case.case_id)
