"""Names of probability maps in a folder."""

from __future__ import annotations

import re
from typing import Final

from liverspleen.organs import ORGAN_KEYS

PROBABILITY: Final = "_probability"
"""Suffix of probability maps after case and organ: `A017_liver_probability.nii.gz`."""

_OUR_NAME: Final = re.compile(rf".+_(?:{'|'.join(ORGAN_KEYS)}){PROBABILITY}")


def is_probability_name(name: str) -> bool:
    """Return whether a file name without its suffix is that of a probability map of ours.

    >>> is_probability_name("A017_liver_probability"), is_probability_name("A017_liver")
    (True, False)
    """
    return _OUR_NAME.fullmatch(name) is not None
