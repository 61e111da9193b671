"""Percentage RC against R, the paper's printed intervals, and hand computation."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from liverspleen.evaluation.formatting import rc_text
from liverspleen.evaluation.reproducibility import percentage_rc


def test_rc_and_interval_agree_with_r(shared: Path) -> None:
    with (shared / "stats/inputs/example_paired.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    wanted = json.loads((shared / "stats/expected/example_paired.json").read_text())["reproducibility"]["rms"]
    result = percentage_rc(*([float(row[name] or "nan") for row in rows] for name in ("a", "b")))
    assert result.wcv_pct == pytest.approx(wanted["wcv_percent"], rel=1e-6)
    assert result.rc_pct == pytest.approx(wanted["rc_percent"], rel=1e-6)
    assert [result.ci_lower, result.ci_upper] == pytest.approx(wanted["rc_ci"], rel=1e-6)
    assert (result.df, result.n_missing) == (wanted["df"], 1)


def test_rc_by_hand() -> None:
    # CVs (10/√2)/95 and 0; mean of squares 0.5·(50/9025); RC = 1.96·√2·wCV.
    result = percentage_rc([90.0, 50.0], [100.0, 50.0])
    wcv = math.sqrt(0.5 * 50 / 9025)
    assert result.wcv_pct == pytest.approx(100 * wcv)
    assert result.rc_pct == pytest.approx(196 * math.sqrt(2) * wcv)


def fifty_pairs_with(rc_pct: float) -> tuple[np.ndarray, np.ndarray]:
    difference = rc_pct / 196  # each pair with mean 1 has wCV = difference / √2
    return np.full(50, 1 + difference / 2), np.full(50, 1 - difference / 2)


# Results section of Ahn et al. 2020: percentage RC of the DLA and of the reference, with the printed 95 % CI.
MET = [(19.9, "16.7–24.7"), (22.5, "18.8–27.9"), (18.1, "15.1–22.4"), (18.8, "15.7–23.4"), (21.5, "18.0–26.7")]


@pytest.mark.parametrize(("rc_pct", "interval"), MET)
def test_printed_intervals_of_the_paper_are_met(rc_pct: float, interval: str) -> None:
    # The printed RC is itself rounded, by up to 0.05.
    results = [percentage_rc(*fifty_pairs_with(rc_pct + change)) for change in (-0.05, 0.0, 0.05)]
    assert results[1].rc_pct == pytest.approx(rc_pct)
    lower, upper = map(float, interval.split("–"))
    for name, printed in (("ci_lower", lower), ("ci_upper", upper)):
        bounds = [round(getattr(result, name), 1) for result in results]
        assert bounds[0] <= printed <= bounds[2], name


def test_the_sixth_printed_interval_contradicts_the_other_five() -> None:
    # 16.7 (13.1–19.8) is printed; no 50 pairs with this RC have that interval.
    result = percentage_rc(*fifty_pairs_with(16.7))
    assert rc_text(result.rc_pct, result.ci_lower, result.ci_upper) == "16.7 (14.0–20.8)"


def test_order_and_unit_of_the_measurements_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.uniform(500, 2000, (2, 30))
    one = percentage_rc(first, second)
    assert percentage_rc(second, first) == one
    assert percentage_rc(first / 1000, second / 1000).rc_pct == pytest.approx(one.rc_pct)


def test_one_pair_has_an_rc_and_an_interval_with_one_degree_of_freedom() -> None:
    result = percentage_rc([90.0], [110.0])
    assert result.df == 1
    assert result.rc_pct == pytest.approx(196 * 0.2)
    # χ² with one degree of freedom is z²: quantiles at 0.975 and 0.025 are z(0.9875)² and z(0.5125)².
    assert result.ci_lower == pytest.approx(39.2 / 2.2414027276)
    assert result.ci_upper == pytest.approx(39.2 / 0.0313379820)


def test_identical_pairs_have_an_rc_of_zero_and_no_interval() -> None:
    result = percentage_rc([5.0, 7.0], [5.0, 7.0])
    assert (result.rc_pct, result.wcv_pct, result.ci_lower, result.ci_upper) == (0.0, 0.0, None, None)
    assert "zero variance" in str(result.reason)


def test_missing_and_zero_pairs_are_dropped_and_counted() -> None:
    result = percentage_rc([0.0, math.nan, 90.0], [0.0, 5.0, 110.0])
    assert (result.n, result.n_missing, result.n_undefined, result.n_dropped) == (1, 1, 1, 2)
    assert result.positions == (2,)


def test_no_pair_gives_none_and_a_reason() -> None:
    result = percentage_rc([], [])
    assert (result.n, result.rc_pct, result.df) == (0, None, None)
    assert result.reason == "no complete pair with a nonzero mean"
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
