"""Measurement of one case: label maps to rows of measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from liverspleen.cohort.checks import grid_issues, on_grid
from liverspleen.cohort.composition import measured_origin
from liverspleen.cohort.manifest import Case
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.evaluation.metrics.attenuation import KnownCT, organ_attenuation
from liverspleen.evaluation.metrics.overlap import Overlap, overlaps
from liverspleen.evaluation.metrics.surface import Definition, SurfaceDistances, organ_surface_distances
from liverspleen.evaluation.metrics.volume import ABSENT, organ_volume_cm3, volume_statuses
from liverspleen.imaging.geometry import same_grid
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import ORGANS, Structure

MANUAL, DLA = "manual", "dla"
"""The readers of the paper: manual segmentation, and the deep learning algorithm."""


@dataclass(frozen=True)
class SurfaceMetrics:
    """Settings of the surface metrics: definition of the surface, and tolerance of the NSD in mm."""

    definition: Definition = "voxel"
    # Not in the paper. The default of Wasserthal et al., Radiol Artif Intell 2023;5:e230024.
    tolerance_mm: float = 3.0


WITH_SURFACES: Final = SurfaceMetrics()


def measure_case(
    case: Case | str,
    reader_maps: Mapping[str, LabelMap],
    *,
    reference: LabelMap | None = None,
    reference_reader: str = MANUAL,
    surface: SurfaceMetrics | None = WITH_SURFACES,
    cropped: bool = False,
    ct: KnownCT | None = None,
) -> list[Measurement]:
    """Return the rows of one case: volume of each organ by each reader, with overlap and surface metrics.

    The reference reader has its own rows with empty `reference` and `dss`. The DSS is undefined (None) if both maps are
    empty; surface distances also if one is empty. Without `surface` they are not computed. A structure that is not in
    the `labelled_structures` of the case, or that a label map does not cover, is unknown, not absent: the reference
    reader has no row for it, and another reader only if it has voxels; this row has no reference. If `case` is only an
    id, it is its own patient, and every organ is labelled. `cropped`: the grid is a box around the labels, so that its
    faces do not truncate organs. `ct`: the CT of the label maps, from which each row gets the attenuation of its organ
    (`organ_attenuation`).

    Raises:
        InputError: LS-GEO-003, LS-GEO-004 a label map is not on the grid of the reference, or of the CT.

    >>> import numpy as np
    >>> from liverspleen.imaging import Geometry
    >>> grid = Geometry((10, 10, 3), np.diag([1.0, 1.0, 5.0, 1.0]))
    >>> labels = np.zeros((3, 10, 10), np.uint8); labels[1, 2:6, 2:7] = Structure.LIVER
    >>> rows = measure_case("A1", {"dla": LabelMap(labels, grid)}, reference=LabelMap(labels, grid))
    >>> [(r.structure, r.reader, r.volume_cm3, r.volume_status, r.reference, r.dss) for r in rows][:2]
    [('liver', 'dla', 0.1, 'implausible', 'manual', 1.0), ('spleen', 'dla', 0.0, 'absent', 'manual', None)]
    """
    rows: list[Measurement] = []
    labelled = _labelled(case, reference)
    for reader, label_map in reader_maps.items():
        if reference is None:
            known = (organ for organ in label_map.covered if organ in labelled or label_map.count(organ))
            rows += _rows(case, reader, label_map, known, cropped=cropped, ct=ct)
        else:
            own = _rows(case, reader, label_map, label_map.covered, cropped=cropped, ct=ct)
            rows += _compared(case, own, label_map, reference, reference_reader, labelled, surface)
    if reference is not None:
        rows += _rows(case, reference_reader, reference, labelled, cropped=cropped, ct=ct)
    return rows


def _compared(
    case: Case | str,
    rows: Sequence[Measurement],
    label_map: LabelMap,
    reference: LabelMap,
    reference_reader: str,
    labelled: tuple[Structure, ...],
    surface: SurfaceMetrics | None,
) -> Iterator[Measurement]:
    case_id = case if isinstance(case, str) else case.case_id
    _, issues = on_grid(case_id, label_map, reference.geometry, file=None, against="the reference")
    if not same_grid(reference.geometry, label_map.geometry):
        raise InputError(issue for issue in issues if issue.severity == "error")
    found = overlaps(label_map.labels, reference.labels)
    distances = {} if surface is None else organ_surface_distances(label_map, reference, **asdict(surface))
    for organ, row in zip(label_map.covered, rows, strict=True):
        if organ in labelled:
            row = _with_overlap(row, reference_reader, found[organ], reference)
            yield _with_surfaces(row, distances[organ]) if distances else row
        elif row.voxels:
            yield row


def _with_overlap(row: Measurement, reference_reader: str, overlap: Overlap, reference: LabelMap) -> Measurement:
    expected = overlap.tp + overlap.fn
    return replace(
        row,
        reference=reference_reader,
        dss=overlap.dss,
        iou=overlap.iou,
        shared_voxels=overlap.tp,
        volume_error_cm3=(overlap.fp - overlap.fn) * reference.geometry.voxel_volume_mm3 / 1000.0,
        volume_error_pct=100 * (overlap.fp - overlap.fn) / expected if expected else None,
    )


def _with_surfaces(row: Measurement, distances: SurfaceDistances) -> Measurement:
    return replace(
        row,
        hd95_mm=distances.hd95_mm,
        assd_mm=distances.assd_mm,
        nsd=distances.nsd,
        nsd_tolerance_mm=distances.tolerance_mm,
        surface=distances.definition,
    )


def missing_case(
    case: Case | str,
    reader: str,
    *,
    covered: Sequence[Structure] = ORGANS,
    reference: LabelMap | None,
    reference_reader: str = MANUAL,
    surface: SurfaceMetrics | None = WITH_SURFACES,
    ct: KnownCT | None = None,
) -> list[Measurement]:
    """Return the rows of a case whose label map is missing: no volume, and scores of 0 if the reference has voxels.

    The reader has rows for structures that its label maps cover; the reference has its own rows. `volume_status` is
    `absent` and the volume is empty: it was not measured, which differs from a volume of 0. The reader has no
    attenuation, and the reference that of `ct`.
    """
    rows = []
    labelled = _labelled(case, reference)
    for organ in labelled:
        if organ not in covered:
            continue
        row = replace(_empty_row(case, reader, organ), volume_status=ABSENT)
        if reference is not None:
            zero = 0.0 if reference.count(organ) else None
            row = replace(row, reference=reference_reader, dss=zero, iou=zero)
            if surface is not None:
                row = replace(row, nsd=zero, nsd_tolerance_mm=surface.tolerance_mm, surface=surface.definition)
        rows.append(row)
    if reference is not None:
        rows += _rows(case, reference_reader, reference, labelled, ct=ct)
    return rows


def _labelled(case: Case | str, reference: LabelMap | None) -> tuple[Structure, ...]:
    """Return the known structures of the case: labelled in the cohort, and covered by the reference if there is one."""
    labelled = ORGANS if isinstance(case, str) else case.labelled_structures
    return labelled if reference is None else tuple(organ for organ in labelled if organ in reference.covered)


def _rows(
    case: Case | str,
    reader: str,
    label_map: LabelMap,
    organs: Iterable[Structure],
    *,
    cropped: bool = False,
    ct: KnownCT | None = None,
) -> list[Measurement]:
    """Return the rows of one reader for these organs, without a reference."""
    if ct is not None and ct.volume is not None and not same_grid(ct.volume.geometry, label_map.geometry):
        case_id = case if isinstance(case, str) else case.case_id
        raise InputError(grid_issues(case_id, label_map.geometry, ct.volume.geometry, file=None, against="its CT"))
    statuses = volume_statuses(label_map, cropped=cropped)
    return [
        replace(
            _empty_row(case, reader, organ),
            volume_cm3=organ_volume_cm3(label_map, organ),
            volume_status=statuses[organ],
            voxels=label_map.count(organ),
            **({} if ct is None else asdict(organ_attenuation(label_map, ct, organ))),
        )
        for organ in organs
    ]


def _empty_row(case: Case | str, reader: str, organ: Structure) -> Measurement:
    known = {} if isinstance(case, str) else {name: getattr(case, name) for name in ("dataset", "condition", "site")}
    return Measurement(
        case_id=case if isinstance(case, str) else case.case_id,
        patient_id=case if isinstance(case, str) else case.patient_id,
        dataset=known.get("dataset", ""),
        condition=known.get("condition", ""),
        site=known.get("site", ""),
        structure=organ.key,
        reader=reader,
        volume_cm3=None,
        origin="" if isinstance(case, str) else measured_origin(case),
    )
