"""The segmented organs: one table of facts about each, and values that are derived from it.

An organ is added by one entry in `Structure`; `docs/extending.md` describes the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import CONTINUOUS, UNIQUE, IntEnum, verify
from typing import Final, Literal


@dataclass(frozen=True)
class OrganFacts:
    """Facts about one organ; no other module contains facts about organs."""

    colour: str
    """in every picture, colour table and DICOM segmentation, #RRGGBB"""
    sct: str
    """code in SNOMED CT"""
    srt: str
    """code in SNOMED-RT, which DICOM used before 2018"""
    abbreviation: str
    """in a BIDS colour table"""
    plausible_cm3: tuple[float, float]
    """smallest and largest volume of an adult's organ that counts as possible"""
    absence_weight: float
    """how much a missing organ adds to the review score of a case: 1 if it cannot be missing"""
    side: Literal["right", "left"] | None = None
    """side of the patient; None: on both sides, or in the middle"""
    midline_mm: float = 0.0
    """how far its centre may be beyond the middle of the body, on the wrong side, before `check` warns"""
    other_labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """its voxel values in label maps of other systems and datasets, by their names"""


@verify(UNIQUE, CONTINUOUS)
class Structure(IntEnum):
    """A class of the label map: its voxel value, which is also its channel in every network, and the organ's facts.

    >>> Structure.LIVER.key, int(Structure.SPLEEN), Structure.SPLEEN.facts.side
    ('liver', 2, 'left')
    """

    _facts: OrganFacts | None

    def __new__(cls, value: int, facts: OrganFacts | None = None) -> Structure:
        """Return the member with that voxel value; the background has no facts."""
        member = int.__new__(cls, value)
        member._value_ = value
        member._facts = facts
        return member

    BACKGROUND = 0
    # Colours: Okabe and Ito 2008, distinct for people with colour blindness. Ranges of plausible volumes are wide on
    # purpose. Their upper limits are assumptions: about five times a normal liver, as in polycystic disease, and
    # sixteen times the largest healthy spleen, as in myelofibrosis. Midline: in 200 phantoms and four real CT scans,
    # livers are 23 to 88 mm on their own side, spleens 85 to 115 mm; after a right hepatectomy only the left lobe
    # remains.
    LIVER = (
        1,
        OrganFacts(
            colour="#E69F00",
            sct="10200004",
            srt="T-62000",
            abbreviation="LIV",
            # What remains after an extended resection is 20 % or more (Kishi et al., Ann Surg 2009;250:540) of a liver
            # that has 706 cm3 per m2 of body surface, and 2 cm3 (Urata et al., Hepatology 1995;21:1317): 198 cm3 at
            # 1.4 m2.
            plausible_cm3=(200.0, 8000.0),
            absence_weight=1.0,
            side="right",
            midline_mm=25.0,
            other_labels={
                "totalsegmentator": (5,),  # task `total`, v1 and v2, written with --ml
                "amos": (6,),
                "btcv": (6,),
                "flare": (1,),  # 2021 and 2022
                "msd_liver": (1,),  # Task03; its tumours (2) are not part of the liver, as in the paper
                "chaos_ct": (1, 255),  # 255 as published, 1 in most conversions
                "chaos_mr": (63,),
            },
        ),
    )
    SPLEEN = (
        2,
        OrganFacts(
            colour="#009E73",
            sct="78961009",
            srt="T-C3000",
            abbreviation="SPL",
            # 107 to 315 cm3 in adults without splenic disease (Prassopoulos et al., Eur Radiol 1997;7:246); a tenth of
            # the minimum, for atrophy.
            plausible_cm3=(10.0, 5000.0),
            absence_weight=0.5,  # spleens are removed, livers are not
            side="left",
            midline_mm=10.0,
            other_labels={
                "totalsegmentator": (1,),
                "amos": (1,),
                "btcv": (1,),
                "flare": (3,),
                "msd_spleen": (1,),  # Task09
                "chaos_mr": (252,),
            },
        ),
    )

    @property
    def key(self) -> str:
        """Name in tables and configs, such as `background`, `liver`, `spleen`."""
        return self.name.lower()

    @property
    def title(self) -> str:
        """Name in headings: `Liver`."""
        return self.key.replace("_", " ").capitalize()

    @property
    def facts(self) -> OrganFacts:
        """The facts of the organ.

        Raises:
            ValueError: the structure is the background.
        """
        if self._facts is None:
            raise ValueError(f"{self.key} is not an organ")
        return self._facts


ORGANS: tuple[Structure, ...] = tuple(sorted(structure for structure in Structure if structure))
"""The organs in the order of their voxel values, which is the order of tables and channels."""

ORGAN_KEYS: tuple[str, ...] = tuple(organ.key for organ in ORGANS)

NUM_CLASSES: int = len(Structure)

OWN_VALUES: Final = "liverspleen"
"""Name of the label values of this project in `LABEL_VALUES`."""

LABEL_VALUES: Final[Mapping[str, Mapping[int, Structure]]] = {
    OWN_VALUES: {int(organ): organ for organ in ORGANS},
    **{
        system: {value: organ for organ in ORGANS for value in organ.facts.other_labels.get(system, ())}
        for system in sorted({system for organ in ORGANS for system in organ.facts.other_labels})
    },
}
"""Voxel values of the organs in label maps of other systems and datasets; every other value is background."""

RATIO_KEY = "ratio"
"""Name of the derived volume ratio in tables; it is never stored."""

RATIO_OF: Final = (Structure.LIVER, Structure.SPLEEN)
"""The organs whose volumes the ratio divides."""

APART_MM: Final = 20.0
"""Sides are reported as swapped if the centre of the spleen is this far to the patient's right of that of the liver.

In 200 phantoms and four real CT scans the distance is above 100 mm, with the spleen on the left.
"""

ADULT_YEARS: Final = 15.0
"""From this age on `plausible_cm3` is used."""


def organ(key: str) -> Structure:
    """Return the organ with that name.

    Raises:
        ValueError: `key` is not the name of an organ.

    >>> organ("spleen")
    <Structure.SPLEEN: 2>
    """
    if key not in ORGAN_KEYS:
        raise ValueError(f"structure {key!r} is not one of {', '.join(ORGAN_KEYS)}")
    return Structure[key.upper()]


def organs(keys: Iterable[str]) -> tuple[Structure, ...]:
    """Return the organs with those names, in the order of `ORGANS`, each once.

    >>> [o.key for o in organs(["spleen", "liver", "spleen"])]
    ['liver', 'spleen']
    """
    selected = {organ(key) for key in keys}
    return tuple(organ for organ in ORGANS if organ in selected)


def listed(word: str = "and", keys: Iterable[str] = ORGAN_KEYS) -> str:
    """Return the organs as text for a sentence.

    >>> listed(), listed("or", ["liver", "spleen", "pancreas"])
    ('liver and spleen', 'liver, spleen or pancreas')
    """
    *others, last = keys
    return f"{', '.join(others)} {word} {last}" if others else last
