"""The structures that are segmented, and the only place where their label values are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final


class Structure(IntEnum):
    """A class of the label map; its value is the voxel value in every label map of this project.

    >>> Structure.LIVER.key, int(Structure.SPLEEN)
    ('liver', 2)
    """

    BACKGROUND = 0
    LIVER = 1
    SPLEEN = 2

    @property
    def key(self) -> str:
        """Name as it stands in tables and configs: `background`, `liver` or `spleen`."""
        return self.name.lower()


ORGANS: tuple[Structure, ...] = (Structure.LIVER, Structure.SPLEEN)
"""The structures that are measured, in the order of the paper's tables."""

ORGAN_KEYS: tuple[str, ...] = tuple(organ.key for organ in ORGANS)

COLOURS: Final[Mapping[Structure, str]] = {Structure.LIVER: "#E69F00", Structure.SPLEEN: "#009E73"}
"""Colour of each organ in every picture and colour table, #RRGGBB: Okabe and Ito 2008, told apart with any vision."""

OWN_VALUES: Final = "liverspleen"
"""Name of the label maps of this project among `LABEL_VALUES`."""

LABEL_VALUES: Final[Mapping[str, Mapping[int, Structure]]] = {
    OWN_VALUES: {1: Structure.LIVER, 2: Structure.SPLEEN},
    "totalsegmentator": {1: Structure.SPLEEN, 5: Structure.LIVER},  # task `total`, v1 and v2, written with --ml
    "amos": {1: Structure.SPLEEN, 6: Structure.LIVER},
    "btcv": {1: Structure.SPLEEN, 6: Structure.LIVER},
    "flare": {1: Structure.LIVER, 3: Structure.SPLEEN},  # 2021 and 2022
    "msd_liver": {1: Structure.LIVER},  # Task03; its tumours (2) stay out of the liver, as in the paper
    "msd_spleen": {1: Structure.SPLEEN},  # Task09
    "chaos_ct": {1: Structure.LIVER, 255: Structure.LIVER},  # 255 as published, 1 in most conversions
    "chaos_mr": {63: Structure.LIVER, 252: Structure.SPLEEN},
}
"""Voxel values of liver and spleen in label maps of other systems and datasets; every other value is background."""

NUM_CLASSES: int = len(Structure)

RATIO_KEY = "ratio"
"""Name of the derived liver/spleen volume ratio in tables; it is never stored."""


def organ(key: str) -> Structure:
    """The organ of that name.

    Raises:
        ValueError: `key` is not `liver` or `spleen`.

    >>> organ("spleen")
    <Structure.SPLEEN: 2>
    """
    if key not in ORGAN_KEYS:
        raise ValueError(f"structure {key!r} is not one of {', '.join(ORGAN_KEYS)}")
    return Structure[key.upper()]


def organs(keys: Iterable[str]) -> tuple[Structure, ...]:
    """The organs of those names, in the order of `ORGANS`, each once.

    >>> [o.key for o in organs(["spleen", "liver", "spleen"])]
    ['liver', 'spleen']
    """
    wanted = {organ(key) for key in keys}
    return tuple(o for o in ORGANS if o in wanted)
