"""ICC and concordance correlation against R, published tables, and closed forms."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from r_values import close, expected, paired, table
from test_bland_altman import paired_fixture

from liverspleen.evaluation.statistics.reliability import concordance_correlation, icc


def test_icc_and_ccc_of_the_fixture_agree_with_r(shared: Path) -> None:
    test, reference, fixture = paired_fixture(shared)
    wanted: dict[str, object] = fixture["reliability"]  # type: ignore[assignment]
    result = icc(np.column_stack([test, reference]))
    for name in ("icc_a1", "icc_a1_ci", "icc_c1", "icc_c1_ci", "msr", "msc", "mse"):
        assert getattr(result, name) == pytest.approx(wanted[name], rel=1e-6), name
    assert (result.n, result.k, result.n_dropped) == (15, 2, 1)
    lin = concordance_correlation(test, reference)
    theirs: dict[str, object] = wanted["epiR_ccc"]  # type: ignore[assignment]
    assert (lin.ccc, lin.pearson) == pytest.approx((theirs["est"], wanted["pearson"]), rel=1e-6)
    assert lin.ccc_ci == pytest.approx(theirs["ci"], rel=1e-6)
    assert lin.bias_correction == pytest.approx(theirs["bias_correction"], rel=1e-6)
    # epiR takes the second reader minus (over) the first, we the first against the second.
    assert lin.location_shift == pytest.approx(-theirs["location_shift"], rel=1e-6)  # type: ignore[operator]
    assert lin.scale_shift == pytest.approx(1 / theirs["scale_shift"], rel=1e-6)  # type: ignore[operator]


def test_icc_of_four_readers_agrees_with_base_r() -> None:
    wanted, result = expected("balanced"), icc(table("balanced"))
    for name in ("msr", "msc", "mse", "icc_a1", "icc_c1", "icc_c1_ci", "icc_a1_ci"):
        assert getattr(result, name) == close(wanted[name], rel=1e-8), name


# Shrout and Fleiss, Psychol Bull 1979;86:420-428, table 2: six targets, four judges; ICC(2,1) and ICC(3,1) in table 4.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_icc_of_the_published_example() -> None:
    result = icc(SHROUT_FLEISS)
    assert (result.icc_a1, result.icc_c1) == (pytest.approx(0.29, abs=0.005), pytest.approx(0.71, abs=0.005))
    # Mean squares printed there: between targets 11.24, between judges 32.49, residual 1.02.
    assert (result.msr, result.msc, result.mse) == pytest.approx((11.24, 32.49, 1.02), abs=0.005)
    # The R package psych prints 0.019 to 0.76 and 0.34 to 0.95.
    assert result.icc_a1_ci == (pytest.approx(0.019, abs=0.0005), pytest.approx(0.76, abs=0.005))
    assert result.icc_c1_ci == (pytest.approx(0.34, abs=0.005), pytest.approx(0.95, abs=0.005))


def test_a_constant_shift_between_readers_lowers_agreement_and_not_consistency() -> None:
    # Subjects 1, 2, 3 and the same + 1: MSR 2, MSC 1.5, MSE 0; ICC(A,1) = 2 / (2 + 2/3 · 1.5).
    result = icc([[1.1, 2.1], [2.1, 3.1], [3.1, 4.1]])
    assert (result.icc_c1, result.icc_a1) == (1.0, pytest.approx(2 / 3))
    assert (result.mse, result.icc_a1_ci, result.icc_c1_ci) == (0.0, None, None)
    assert "constants only" in str(result.reason)


def test_identical_readers_agree_fully() -> None:
    result = icc([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    assert (result.icc_a1, result.icc_c1, result.icc_a1_ci) == (1.0, 1.0, None)


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        (np.empty((0, 2)), "fewer than 2 complete subjects"),
        ([[1.0, 2.0], [1.0, math.nan]], "fewer than 2 complete subjects"),
        ([[5.0, 6.0], [5.0, 6.0]], "all subjects are equal"),
    ],
)
def test_undefined_icc_has_a_reason(readings: object, reason: str) -> None:
    result = icc(readings)  # type: ignore[arg-type]
    assert (result.icc_a1, result.icc_c1, result.reason) == (None, None, reason)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@pytest.mark.parametrize("readings", [[1.0, 2.0], [[1.0], [2.0]], [[1.0, math.inf]]])
def test_wrong_readings_raise(readings: object) -> None:
    with pytest.raises(ValueError, match=r"readings"):
        icc(readings)  # type: ignore[arg-type]


@pytest.mark.parametrize("dataset", ["liver30", "spleen12", "ties14", "three", "seven", "large300"])
def test_concordance_agrees_with_base_r(dataset: str) -> None:
    wanted, result = expected(dataset), concordance_correlation(*paired(dataset))
    assert (result.ccc, result.pearson) == close((wanted["ccc"], wanted["pearson"]), rel=1e-8)
    assert result.ccc == pytest.approx(result.pearson * result.bias_correction)  # type: ignore[operator]


def test_concordance_of_a_shift_by_hand() -> None:
    # 1, 2, 3 against 2, 3, 4: covariance and variances 2/3, shift 1: (4/3) / (4/3 + 1).
    result = concordance_correlation([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    assert (result.ccc, result.pearson) == (pytest.approx(4 / 7), pytest.approx(1.0))
    assert result.ccc_ci is None
    assert (result.scale_shift, result.location_shift) == (1.0, pytest.approx(-1 / math.sqrt(2 / 3)))


def test_undefined_concordance_has_a_reason() -> None:
    assert concordance_correlation([1.0], [2.0]).reason == "fewer than 2 complete pairs"
    assert concordance_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).reason == "all values of a reader are equal"
    uncorrelated = concordance_correlation([1.0, 2.0, 3.0], [1.0, 2.0, 1.0])
    assert (uncorrelated.ccc, uncorrelated.ccc_ci) == (pytest.approx(0.0, abs=1e-15), None)
    for result in (concordance_correlation([], []), uncorrelated):
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
