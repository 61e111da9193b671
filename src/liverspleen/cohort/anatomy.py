"""What is plausible of a liver and a spleen: volumes of adults, and on which side they lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from liverspleen.organs import Structure

PLAUSIBLE_CM3: Final[Mapping[Structure, tuple[float, float]]] = {
    Structure.LIVER: (200.0, 8000.0),
    Structure.SPLEEN: (10.0, 5000.0),
}
"""Smallest and largest volume of an adult's organ that is taken for possible, in cm³; wide on purpose.

Liver: what is left after an extended resection is 20 % or more (Kishi et al., Ann Surg 2009;250:540) of a liver that
has 706 cm³ per m² of body surface, and 2 cm³ (Urata et al., Hepatology 1995;21:1317); at 1.4 m² that is 198 cm³.
Spleen: 107 to 315 cm³ in adults without disease of it (Prassopoulos et al., Eur Radiol 1997;7:246); a tenth of the
least is left for atrophy. The upper ends are of our own setting: some five times a usual liver, as polycystic ones may
be, and sixteen times the largest healthy spleen, as in myelofibrosis.
"""

ADULT_YEARS: Final = 15.0
"""From this age on `PLAUSIBLE_CM3` is used."""

APART_MM: Final = 20.0
"""By how much the spleen's centre must lie to the patient's right of the liver's before the sides are called wrong.

They lie more than 100 mm apart, the spleen on the left, in 200 phantoms and four real CT.
"""
