"""Results of a model on CT scans that were not used for its training: the entry `tested` of a model.json.

The entry has the name of the test set (`on`), whether design choices were checked on it (`design`), the SHA-256 of the
measurements, the numbers of cases and patients, and results by organ. None is undefined, and `reason` says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue
from liverspleen.organs import ORGAN_KEYS

NEW_PATIENTS: Final = 6
"""New patients whose mean DSS the prediction interval contains."""

TESTED: Final = "tested"
"""Key of the results in model.json."""

_NAME: Final = re.compile(r"[^\W_][\w .,+()-]{0,99}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MOST: Final = 10**6
_LONGEST: Final = 200
_ROUNDING: Final = 1e-9  # a mean of equal values may differ from them in the last digits


def is_name(value: Any) -> bool:
    """Return whether a test set can have this name in a model card and in a line of text.

    >>> is_name("twelve public CT (BTCV)"), is_name(""), is_name("<b>")
    (True, False, False)
    """
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_fraction(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_interval(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_fraction, value)) and value[0] <= value[1]
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _or_none(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_valid(value)


_ORGAN: Final[Mapping[str, Callable[[Any], bool]]] = {
    "n": _is_count,
    "dss_mean": _or_none(_is_fraction),
    "dss_mean_ci": _or_none(_is_interval),
    "dss_prediction_interval": _or_none(_is_interval),
    "dss_lowest": _or_none(_is_fraction),
    "lowest_case": _or_none(_is_text),
    "empty": _is_count,
    "missing": _is_count,
    "undefined": _is_count,
    "reason": _or_none(_is_text),
}
_OUTER: Final[Mapping[str, Callable[[Any], bool]]] = {
    "on": is_name,
    "design": lambda value: isinstance(value, bool),
    "measurements_sha256": lambda value: isinstance(value, str) and _SHA256.fullmatch(value) is not None,
    "cases": _is_count,
    "patients": _is_count,
    "new_patients": lambda value: value == NEW_PATIENTS,
    "organs": lambda value: isinstance(value, dict) and bool(value) and value.keys() <= set(ORGAN_KEYS),
}


def checked_tested(value: Any, file: Path | str) -> Mapping[str, Any] | None:
    """Return the test results in a model.json, or None if it has none.

    Raises:
        InputError: LS-MOD-032 they are not as liverspleen writes them, or contradict each other.
    """
    if value is None:
        return None
    if problem := _problem(value):
        message = f"the test results in model.json are not valid: {problem}"
        raise InputError(Issue("LS-MOD-032", message, "give a model as liverspleen wrote it", file=file))
    return dict(value)


def _problem(value: Any) -> str | None:
    """Return what is wrong with test results, in a few words; None if nothing is."""
    if not isinstance(value, dict) or value.keys() != _OUTER.keys():
        return f"expected the keys {', '.join(_OUTER)}"
    if wrong := [key for key, is_valid in _OUTER.items() if not is_valid(value[key])]:
        return f"{wrong[0]}={value[wrong[0]]!r}"[:100]
    for organ, results in value["organs"].items():
        if not isinstance(results, dict) or results.keys() != _ORGAN.keys():
            return f"{organ}: expected the keys {', '.join(_ORGAN)}"
        if wrong := [key for key, is_valid in _ORGAN.items() if not is_valid(results[key])]:
            return f"{organ}.{wrong[0]}={results[wrong[0]]!r}"[:100]
        if not _agree(results, value["cases"]):
            return f"the numbers of the {organ} contradict each other"
    return None


def _agree(results: Mapping[str, Any], cases: int) -> bool:
    """Return whether the numbers of an organ are possible together."""
    n, mean, lowest, ci = (results[key] for key in ("n", "dss_mean", "dss_lowest", "dss_mean_ci"))
    if any((results[key] is None) != (n == 0) for key in ("dss_mean", "dss_lowest", "lowest_case")):
        return False
    intervals = (ci, results["dss_prediction_interval"])
    if n + results["undefined"] > cases or results["empty"] + results["missing"] > n:
        return False
    if None in intervals and results["reason"] is None:
        return False
    within = [one for one in intervals if one is not None]
    return n == 0 or (
        lowest <= mean + _ROUNDING and all(one[0] - _ROUNDING <= mean <= one[1] + _ROUNDING for one in within)
    )


def claim(tested: Mapping[str, Any]) -> str:
    """Return what was done with the test set.

    >>> claim({"on": "twelve public CT (BTCV)", "design": True})
    'design choices were checked on twelve public CT (BTCV)'
    """
    return f"{'design choices were checked' if tested['design'] else 'tested'} on {tested['on']}"


def scores(tested: Mapping[str, Any], *, lowest: bool = True) -> str:
    """Return mean DSS, lowest DSS and n of each organ as text.

    >>> liver = {"n": 12, "dss_mean": 0.931, "dss_lowest": 0.7}
    >>> scores({"organs": {"liver": liver}})
    'mean DSS liver 0.931 (lowest 0.700, n 12)'
    """
    texts = []
    for organ, results in tested["organs"].items():
        text = "undefined" if results["dss_mean"] is None else f"{results['dss_mean']:.3f}"
        if lowest and results["dss_lowest"] is not None:
            text += f" (lowest {results['dss_lowest']:.3f}, n {results['n']})"
        texts.append(f"{organ} {text}")
    return f"mean DSS {', '.join(texts)}"
