"""Printed numbers, and the interval of values that each of them represents.

`0.974` represents every value in [0.9735, 0.9745], so that the rounding of halves has no effect. If digits were cut
instead of rounded, it represents every value from 0.974 to 0.975.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from liverspleen.audit.intervals import Interval

Reading = Literal["rounded", "rounded or cut"]
"""How the number may have lost its digits: by rounding to the nearest, or also by cutting."""

_NUMBER: Final = re.compile(
    r"(?P<relation>[<>≤≥]?)\s*(?P<sign>[+-]?)(?P<digits>\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE](?P<power>[+-]?\d{1,2}))?\s*%?",
    re.ASCII,
)
_THOUSANDS: Final = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d,])", re.ASCII)


@dataclass(frozen=True)
class Printed:
    """One printed number: its text, the relation before it (often empty), its value, and one unit of its last digit.

    >>> read_printed("< 0.001")
    Printed(text='< 0.001', relation='<', value=Fraction(1, 1000), unit=Fraction(1, 1000))
    """

    text: str
    relation: str
    value: Fraction
    unit: Fraction

    def values(self, reading: Reading) -> Interval:
        """Return the interval of values that this text represents.

        >>> found = read_printed("-0.5").values("rounded or cut")
        >>> float(found.lower), float(found.upper)
        (-0.6, -0.45)
        """
        if self.relation:
            below = self.relation in "<≤"
            return Interval(-math.inf, self.value) if below else Interval(self.value, math.inf)
        half = self.unit / 2
        more = self.unit if reading == "rounded or cut" else half  # away from zero: cutting moves a value towards zero
        lower = half if self.value > 0 else more
        upper = half if self.value < 0 else more
        return Interval(self.value - lower, self.value + upper)

    @property
    def is_whole(self) -> bool:
        """Whether the text is a whole number, as for counts."""
        return self.unit == 1 and "." not in self.text and "e" not in self.text.lower()


def read_printed(text: str) -> Printed:
    """Parse the text of one number.

    A minus may be a hyphen, a minus or a dash; `1,234` is 1234; `1.5e3` has two significant digits.

    Raises:
        ValueError: the text is not one number.

    >>> read_printed("1,183").value, read_printed("−.50").unit
    (Fraction(1183, 1), Fraction(1, 100))
    """
    plain = re.sub("[−–‐]", "-", " ".join(text.split()))
    plain = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), plain)
    if not (found := _NUMBER.fullmatch(plain)):
        raise ValueError(f"{text!r} is not one printed number")
    digits, power = found["digits"], int(found["power"] or 0)
    decimals = len(digits.partition(".")[2])
    scale = Fraction(10) ** power
    value = Fraction(digits.strip(".") or 0) * scale if not digits.startswith(".") else Fraction(f"0{digits}") * scale
    return Printed(text, found["relation"], -value if found["sign"] == "-" else value, scale / 10**decimals)
