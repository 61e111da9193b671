"""Volumes of structures in a label map, and their status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from liverspleen.evaluation.metrics.connected_components import Components, components
from liverspleen.evaluation.metrics.masks import boolean_mask, grid_of
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import LabelMap, touched_faces
from liverspleen.organs import APART_MM, Structure

STATUSES: Final = ("ok", "truncated", "absent", "multi_part", "implausible")
"""The values of `volume_status`, joined by `;` in this order; `volume_statuses` defines them."""

OK, TRUNCATED, ABSENT, MULTI_PART, IMPLAUSIBLE = STATUSES


def volume_cm3(mask: ArrayLike, affine: ArrayLike) -> float:
    """Return the number of voxels of a 3D mask × |det| of the 3 × 3 part of the affine, in cm³; 0 without a voxel.

    Axis n of the mask is column n of `affine` (4, 4), in mm: the order (i, j, k) of nibabel, as in
    `volume_cm3(np.asarray(image.dataobj) == 1, image.affine)`. A mask is a boolean array, or numbers that are 0 and 1.
    Header spacings are not used: on a sheared grid their product is not the volume of a voxel.

    Raises:
        ValueError: the mask does not have three axes, or contains a value that is neither 0 nor 1; the affine is not
            finite, affine and invertible.

    >>> volume_cm3(np.ones((10, 10, 2), bool), np.diag([1.0, 1.0, 5.0, 1.0]))  # 200 voxels of 5 mm³
    1.0
    """
    found = boolean_mask(mask, "mask")
    return _cm3(int(np.count_nonzero(found)), grid_of(found, affine))


def organ_volume_cm3(label_map: LabelMap, structure: Structure) -> float:
    """Return the volume of one structure of a label map, as `volume_cm3`.

    >>> block = LabelMap(np.full((2, 10, 10), 1, np.uint8), Geometry((10, 10, 2), np.diag([1.0, 1.0, 5.0, 1.0])))
    >>> organ_volume_cm3(block, Structure.LIVER)
    1.0
    """
    return _cm3(label_map.count(structure), label_map.geometry)


def volume_statuses(label_map: LabelMap, *, cropped: bool = False) -> dict[Structure, str]:
    """Return the volume status of each structure that the label map covers: its problems, or `ok`.

    - `absent`: no voxel; never with another status.
    - `truncated`: a voxel is at an outer face of the grid, so that the volume is that of the part inside the image, a
      lower bound. This includes a structure that ends exactly at a face, since the image cannot show the difference.
      Never if the grid was `cropped` to the labels: its faces are not those of a CT.
    - `multi_part`: the voxels outside the largest part (26 neighbours) have together at least 5 % of its voxels or
      10 cm³. This is correct after resection, otherwise an error.
    - `implausible`: the volume is outside `plausible_cm3`, the range of adults; a truncated one is never too small. Or
      liver and spleen have exchanged sides, and both get the status: the centre of the largest part of the spleen is
      more than `APART_MM` to the patient's right of that of the liver.

    Sides are compared if both volumes are at least the smallest plausible volume of a spleen. The volumes of a mirrored
    image are correct, but the status cannot distinguish it from exchanged labels.

    >>> import numpy as np
    >>> from liverspleen.imaging import Geometry
    >>> labels = np.zeros((12, 40, 60), np.uint8)
    >>> labels[2:10, 5:35, 5:30] = Structure.LIVER; labels[:2, 10:20, 45:55] = Structure.SPLEEN
    >>> statuses = volume_statuses(LabelMap(labels, Geometry((60, 40, 12), np.diag([-5.0, -5.0, 10.0, 1.0]))))
    >>> statuses[Structure.LIVER], statuses[Structure.SPLEEN]  # 1500 cm3, 50 cm3
    ('ok', 'truncated')
    """
    found = {organ: components(label_map, organ) for organ in label_map.covered}
    return statuses_of(label_map, found, cropped=cropped)


def statuses_of(
    label_map: LabelMap, found: Mapping[Structure, Components], *, cropped: bool = False
) -> dict[Structure, str]:
    """Return the statuses of `volume_statuses` from known parts of the structures."""
    swapped = _wrong_sides(label_map, found)
    return {
        organ: ";".join(_status_terms(own, organ, () if cropped else label_map.labels.shape, organ in swapped)) or OK
        for organ, own in found.items()
    }


def volume_status(label_map: LabelMap, structure: Structure) -> str:
    """Return the volume status of one structure; `volume_statuses` gives all in the same time.

    Raises:
        KeyError: the label map does not cover the structure.
    """
    return volume_statuses(label_map)[structure]


def truncated_faces(label_map: LabelMap, structure: Structure) -> tuple[str, ...]:
    """Return the faces of the image that cut the structure: inferior, superior, anterior, posterior, right, left.

    `right` and `left` are those of the patient. Empty unless the status of the structure is `truncated`.
    """
    return label_map.faces(structure)


def _cm3(voxels: int, geometry: Geometry) -> float:
    return voxels * geometry.voxel_volume_mm3 / 1000.0


def _status_terms(own: Components, organ: Structure, shape: tuple[int, ...], swapped: bool) -> Iterator[str]:
    """Yield the problems of an organ; without the shape of a CT it is never truncated."""
    if not own.voxels.size:
        yield ABSENT
        return
    smallest, largest = organ.facts.plausible_cm3
    truncated = bool(shape and touched_faces(own.box, shape))
    if truncated:
        yield TRUNCATED
    if own.in_parts:
        yield MULTI_PART
    if swapped or own.total_cm3 > largest or (own.total_cm3 < smallest and not truncated):
        yield IMPLAUSIBLE


def _wrong_sides(label_map: LabelMap, found: Mapping[Structure, Components]) -> tuple[Structure, ...]:
    """Return liver and spleen if the liver is to the patient's left of the spleen; else nothing."""
    pair = (Structure.LIVER, Structure.SPLEEN)
    least = Structure.SPLEEN.facts.plausible_cm3[0]
    if any(organ not in found or found[organ].total_cm3 < least for organ in pair):
        return ()
    affine = label_map.geometry.canonical_affine
    # world x increases to the patient's right
    right = {organ: float(affine[0] @ [*found[organ].part(0).centre, 1.0]) for organ in pair}
    return pair if right[Structure.SPLEEN] - right[Structure.LIVER] > APART_MM else ()
