"""Organ volumes in relation to the size of the body: body surface area, standard liver volume, and indices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from liverspleen.cohort.manifest import Case
from liverspleen.organs import ORGAN_KEYS, Structure

BSA_SOURCE: Final = "body surface area: Du Bois and Du Bois, Arch Intern Med 1916;17:863-871"
STANDARD_SOURCE: Final = "standard liver volume: Urata et al., Hepatology 1995;21:1317-1321"


@dataclass(frozen=True)
class BodySize:
    """Height in cm and weight in kg of a patient; NaN if unknown."""

    height_cm: float
    weight_kg: float

    @property
    def bsa_m2(self) -> float:
        """Body surface area in m² by Du Bois: 0.007184 × weight^0.425 × height^0.725; NaN if undefined.

        It is the formula behind the standard liver volume. Source: `BSA_SOURCE`.

        >>> round(BodySize(170, 70).bsa_m2, 3)
        1.81
        """
        return 0.007184 * float(self.weight_kg**0.425 * self.height_cm**0.725)

    @property
    def standard_liver_cm3(self) -> float:
        """Standard liver volume in cm³, 706.2 × BSA + 2.4, from Japanese patients; NaN if undefined.

        Source: `STANDARD_SOURCE`.

        >>> round(BodySize(170, 70).standard_liver_cm3)
        1280
        """
        return 706.2 * self.bsa_m2 + 2.4


def volume_per_height(volume_cm3: float, size: BodySize) -> float:
    """Return the volume in cm³ per m of height; NaN if undefined.

    >>> volume_per_height(1700.0, BodySize(170, float("nan")))
    1000.0
    """
    return 100 * volume_cm3 / size.height_cm


def volume_per_bsa(volume_cm3: float, size: BodySize) -> float:
    """Return the volume in cm³ per m² of body surface area; NaN if undefined.

    >>> round(volume_per_bsa(1810.0, BodySize(170, 70)))
    1000
    """
    return volume_cm3 / size.bsa_m2


def ratio_to_standard_pct(volume_cm3: float, size: BodySize) -> float:
    """Return the liver volume in percent of the standard liver volume; NaN if undefined.

    >>> round(ratio_to_standard_pct(1281.0, BodySize(170, 70)), 1)
    100.0
    """
    return 100 * volume_cm3 / size.standard_liver_cm3


class BodySizeIndex(NamedTuple):
    """A volume in relation to the size of the body: its computation from cm³, units, and method."""

    of: Callable[[float, BodySize], float]
    units: str
    method: str


_PER_ORGAN: Final = {
    "height": BodySizeIndex(volume_per_height, "cm³/m", "volume divided by the height"),
    "bsa": BodySizeIndex(volume_per_bsa, "cm³/m²", f"volume divided by the {BSA_SOURCE}"),
}
INDICES_OF: Final[dict[str, dict[str, BodySizeIndex]]] = {
    organ: {f"{organ}_{name}": index for name, index in _PER_ORGAN.items()} for organ in ORGAN_KEYS
}
"""The indices by organ and name."""
INDICES_OF[Structure.LIVER.key]["liver_standard"] = BodySizeIndex(
    ratio_to_standard_pct, "%", f"volume in percent of the {STANDARD_SOURCE}; {BSA_SOURCE}"
)


def body_sizes(cases: Iterable[Case]) -> dict[str, BodySize]:
    """Return height and weight by case, without the cases that have neither."""
    unknown = float("nan")
    return {
        case.case_id: BodySize(case.height_cm or unknown, case.weight_kg or unknown)
        for case in cases
        if case.height_cm or case.weight_kg
    }
