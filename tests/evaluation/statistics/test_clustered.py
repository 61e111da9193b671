"""Several observations of a patient: values by hand, by R, and by simulation of the model."""

import math

import numpy as np
import pytest

from liverspleen.evaluation import bland_altman, tost
from liverspleen.evaluation.statistics.clustered import clustered

# Differences of unequal numbers of examinations: 3, 2, 1, 4, 2.
TEST = [10.2, 11.1, 9.8, 14.0, 13.1, 8.9, 12.0, 12.9, 11.2, 12.2, 9.0, 9.9]
REFERENCE = [10.0] * 12
PATIENTS = ["a"] * 3 + ["b"] * 2 + ["c"] + ["d"] * 4 + ["e"] * 2


def test_components_of_unequal_numbers_of_examinations() -> None:
    """By R 4.2.2: var(tapply(d, p, mean)) = 3.696263889, mean(tapply(d, p, mean)) = 0.8683333;
    anova(lm(d ~ p)) gives the mean square 0.4520238 (7 df).

    The harmonic mean of 3, 2, 1, 4, 2 is 5 / (31 / 12) = 60 / 31.
    """
    result = bland_altman(TEST, REFERENCE, clusters=PATIENTS)
    found = result.clustered
    assert found is not None
    assert found.sd_within**2 == pytest.approx(0.4520238, rel=1e-6)
    assert found.sd_of_means**2 == pytest.approx(3.696263889, rel=1e-6)
    assert result.bias == pytest.approx(0.8683333333, rel=1e-6)
    assert found.sd**2 == pytest.approx(3.696263889 + (1 - 31 / 60) * 0.4520238, rel=1e-6)
    assert found.sd_between**2 == pytest.approx(3.696263889 - 31 / 60 * 0.4520238, rel=1e-6)


def test_balanced_examinations_give_the_t_test_of_the_means_of_patients() -> None:
    """By hand: means 2, 6, 4; mean 4, SD 2, standard error 2 / √3; within² = 2 (three pairs ± 1)."""
    differences = [1.0, 3.0, 5.0, 7.0, 3.0, 5.0]
    result = bland_altman(differences, [0.0] * 6, clusters=[1, 1, 2, 2, 3, 3])
    assert result.bias_test is not None
    assert result.intervals is not None
    assert result.limits is not None
    assert result.bias_test.t == pytest.approx(4 / (2 / math.sqrt(3)))
    assert result.bias_test.df == 2
    half = 4.302652729696142 * 2 / math.sqrt(3)  # 97.5 % quantile of t with 2 df
    assert result.intervals.bias_ci == pytest.approx((4 - half, 4 + half))
    total = (8 - 2) / 2 + 2  # mean square between 2 · 4 = 8, m0 = 2
    assert result.sd == pytest.approx(math.sqrt(total))
    assert result.limits.half_width == pytest.approx(1.96 * math.sqrt(total))
    assert result.intervals.exact is None
    assert result.intervals.ba1999 is None
    equivalence = tost(differences, [0.0] * 6, margin=10.0, clusters=[1, 1, 2, 2, 3, 3])
    assert equivalence.df == 2
    assert equivalence.t_upper == pytest.approx((4 - 10) / (2 / math.sqrt(3)))


def test_one_pair_for_each_cluster_is_the_usual_analysis() -> None:
    clusters = [f"p{k}" for k in range(12)]
    assert bland_altman(TEST, REFERENCE, clusters=clusters).to_dict() == bland_altman(TEST, REFERENCE).to_dict()
    assert tost(TEST, REFERENCE, margin=5.0, clusters=clusters).to_dict() == tost(TEST, REFERENCE, margin=5.0).to_dict()


def test_repeating_every_pair_does_not_narrow_the_interval_of_the_bias() -> None:
    """Copies of a CT are no new patients: the interval stays that of the patients."""
    once = bland_altman(TEST, REFERENCE)
    copies = bland_altman(TEST * 5, REFERENCE * 5, clusters=[*range(12)] * 5)
    assert once.intervals is not None
    assert copies.intervals is not None
    assert copies.intervals.bias_ci == pytest.approx(once.intervals.bias_ci)
    assert copies.sd == pytest.approx(once.sd)
    assert copies.clustered is not None
    assert copies.clustered.sd_within == 0.0


def test_clusters_of_dropped_pairs_are_dropped() -> None:
    test = [math.nan, 11.0, 12.0, 13.0, 9.0]
    found = bland_altman(test, [10.0] * 5, clusters=["x", "a", "a", "b", "b"])
    expected = bland_altman(test[1:], [10.0] * 4, clusters=["a", "a", "b", "b"])
    assert found.clustered == expected.clustered
    assert found.n_missing == 1


def test_one_patient_has_a_bias_and_no_limits() -> None:
    found = bland_altman([1.0, 2.0, 4.0], [0.0] * 3, clusters=["a"] * 3)
    assert (found.bias, found.sd, found.limits, found.intervals, found.bias_test) == (7 / 3, None, None, None, None)
    assert found.reason == "all pairs are of 1 patient: SD, limits and t are undefined"
    assert tost([1.0, 2.0, 4.0], [0.0] * 3, margin=9.0, clusters=["a"] * 3).p is None


def test_patients_with_equal_means_have_limits_and_no_interval() -> None:
    found = bland_altman([1.0, 3.0, 2.0, 2.0], [0.0] * 4, clusters=["a", "a", "b", "b"])
    assert found.sd == pytest.approx(math.sqrt(0.5))  # means 2 and 2, within² (1 + 1 + 0 + 0) / 2, halved
    assert found.intervals is None
    assert found.bias_test is None
    assert found.reason is not None
    assert "the mean differences of all patients are equal" in found.reason


def test_labels_have_the_length_of_the_samples_and_none_is_missing() -> None:
    with pytest.raises(ValueError, match="samples have length 3, clusters 2"):
        bland_altman([1.0, 2.0, 3.0], [0.0] * 3, clusters=["a", "b"])
    with pytest.raises(ValueError, match="1 of 3 clusters is missing"):
        tost([1.0, 2.0, 3.0], [0.0] * 3, margin=1.0, clusters=["a", "a", None])


def test_rounding_is_no_spread() -> None:
    values = np.array([0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2])
    found = clustered(values, np.array([0, 0, 1, 1]), 1.0)
    assert found is not None
    assert (found.sd_within, found.sd_between, found.standard_error) == (0.0, 0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(10,) * 6, (1,) * 20 + (10,) * 2, (1, 2, 3, 5, 8, 2, 4, 1), (2,) * 20])
@pytest.mark.parametrize("between", [0.3, 3.0])
def test_intervals_contain_the_truth_as_often_as_stated(sizes: tuple[int, ...], between: float) -> None:
    """2,000 simulated studies; SD within a patient 1. Binomial noise: 95 % ± 2 %."""
    rng = np.random.default_rng(7)
    patients = np.repeat(np.arange(len(sizes)), sizes)
    upper = 1.96 * math.hypot(between, 1)
    runs, bias, limit = 2000, 0, 0
    for _ in range(runs):
        values = rng.normal(0, between, len(sizes))[patients] + rng.normal(0, 1, patients.size)
        found = bland_altman(values, np.zeros(patients.size), clusters=patients.tolist())
        assert found.intervals is not None
        bias += found.intervals.bias_ci.lower <= 0 <= found.intervals.bias_ci.upper
        limit += found.intervals.mover.loa_upper_ci.lower <= upper <= found.intervals.mover.loa_upper_ci.upper
    assert 0.93 < bias / runs < 0.97
    assert limit / runs > 0.93
