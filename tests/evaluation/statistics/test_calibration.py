"""ECE, Brier score and bins of a reliability diagram: by hand, and against torchmetrics."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from liverspleen.evaluation.statistics.calibration import BINS, EDGES, SCALE, BinSums, bin_sums, calibration


def random_sample(n: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    probabilities = rng.beta(0.3, 0.5, n).astype(np.float32)
    return probabilities, rng.random(n) < probabilities**1.5


def test_scores_by_hand() -> None:
    # bins (2/15, 3/15] with 0.2 four times, one of them right, and (11/15, 12/15] with 0.8 once, right
    result = calibration([0.2, 0.2, 0.2, 0.2, 0.8], [0, 0, 0, 1, 1])
    assert result.ece == pytest.approx(4 / 5 * 0.05 + 1 / 5 * 0.2, abs=1e-9)
    assert result.brier == pytest.approx((3 * 0.04 + 0.64 + 0.04) / 5, abs=1e-9)
    assert [(place, one.n) for place, one in enumerate(result.bins) if one.n] == [(2, 4), (11, 1)]
    assert result.bins[2].fraction == 0.25
    assert (result.n, result.n_ones) == (5, 2)


def test_certain_and_right_probabilities_have_zero_error() -> None:
    result = calibration([0, 0, 1, 1], [0, 0, 1, 1])
    assert (result.ece, result.brier) == (0, 0)


def test_probabilities_that_are_the_fractions_of_their_bins_have_no_calibration_error() -> None:
    result = calibration(np.repeat([0.25, 0.5, 0.75], 4), [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0])
    assert result.ece == 0
    assert result.brier == (0.25 * 0.75 + 0.5 * 0.5 + 0.75 * 0.25) / 3  # mean of p (1 - p)


@pytest.mark.parametrize("constant", [0.0, 0.25, 0.5, 1.0])
def test_constant_probability(constant: float) -> None:
    outcomes = [1, 0, 0, 0, 0, 0, 0, 1]  # a quarter
    result = calibration([constant] * 8, outcomes)
    assert result.ece == abs(0.25 - constant)
    assert result.brier == 0.25 * (1 - constant) ** 2 + 0.75 * constant**2


def test_a_bin_has_its_upper_bound_and_the_first_bin_has_zero() -> None:
    # 17 k / 255 is exactly the bound k / 15
    probabilities = np.concatenate([[0.0], 17.0 * np.arange(1, 16) / 255])
    sums = bin_sums(probabilities, np.zeros(16))
    assert sums.n == (2, *(1,) * 14)
    assert len(EDGES) == BINS + 1 == 16


def test_parts_in_any_order_add_up_to_the_whole_exactly() -> None:
    probabilities, outcomes = random_sample(300_000)
    whole = bin_sums(probabilities, outcomes)
    order = np.random.default_rng(0).permutation(probabilities.size)
    parts = [bin_sums(probabilities[part], outcomes[part]) for part in np.array_split(order, 7)]
    assert sum(parts, BinSums()) == whole
    volume = probabilities.reshape(30, 100, 100), outcomes.reshape(30, 100, 100)
    assert bin_sums(volume[0][::-1].T, volume[1][::-1].T) == whole
    assert bin_sums(np.asfortranarray(volume[0]), volume[1]) == whole


def test_scores_of_a_large_sample_are_those_of_numpy() -> None:
    probabilities, outcomes = random_sample()
    result = calibration(probabilities, outcomes)
    wide = probabilities.astype(np.float64)
    assert result.brier == pytest.approx(np.mean((wide - outcomes) ** 2), abs=1e-9)
    inside = [(wide > lower) & (wide <= upper) for lower, upper in pairwise(EDGES)]
    gaps = [abs(wide[mask].sum() - outcomes[mask].sum()) / wide.size for mask in inside]
    assert result.ece == pytest.approx(sum(gaps), abs=1e-9)
    assert [one.mean_probability for one in result.bins] == pytest.approx([wide[m].mean() for m in inside], abs=1e-9)
    assert [one.fraction for one in result.bins] == pytest.approx([outcomes[m].mean() for m in inside])


@pytest.mark.slow  # it imports torch
def test_ece_is_that_of_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    probabilities, outcomes = random_sample(20_000)
    expected = functional.binary_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(outcomes.astype(np.int64)), n_bins=BINS, norm="l1"
    )
    assert calibration(probabilities, outcomes).ece == pytest.approx(float(expected), abs=1e-6)


def test_without_an_observation_the_scores_are_undefined() -> None:
    result = calibration([], [])
    assert (result.ece, result.brier, result.reason) == (None, None, "no probabilities")


def test_the_largest_sums_are_exact() -> None:
    sums = bin_sums(np.ones(1 << 17), np.zeros(1 << 17))
    assert sums.probability[-1] == sums.squared_error[-1] == (1 << 17) * SCALE


@pytest.mark.parametrize(
    ("probabilities", "outcomes"),
    [([1.1], [1]), ([-0.1], [0]), ([np.nan], [0]), ([0.5], [2]), ([0.0], [-1]), ([0.5, 0.5], [1])],
)
def test_what_is_no_probability_or_outcome_is_an_error(probabilities: list[float], outcomes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"probabilities|outcomes"):
        calibration(probabilities, outcomes)
