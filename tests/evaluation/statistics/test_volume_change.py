"""Volume change between two CT scans: definition, three verdicts, undefined cases; R 4.2.2 and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from liverspleen.evaluation import percentage_rc, volume_change
from liverspleen.evaluation.statistics.volume_change import false_alarm_probability

# x <- c(1500,1320,1610,980,1745,1210); y <- c(1440,1355,1580,1010,1690,1275)
FIRST, SECOND = [1500.0, 1320, 1610, 980, 1745, 1210], [1440.0, 1355, 1580, 1010, 1690, 1275]


def test_a_worked_example_as_in_r() -> None:
    # cv2 <- apply(cbind(x, y), 1, function(v) (sd(v)/mean(v))^2); rc <- 100*1.96*sqrt(2*mean(cv2))
    # c(rc, rc*sqrt(6/qchisq(c(.975,.025), 6)))
    rc = percentage_rc(FIRST, SECOND)
    assert (rc.rc_pct, *rc.rc_ci) == pytest.approx((6.87203877096, 4.42829648306, 15.13268370352))
    # c(200*(1230-1500)/(1230+1500), 100*(1230/1500-1))
    found = volume_change(1500.0, 1230.0, rc_pct=rc.rc_pct, rc_ci=rc.rc_ci)
    assert found.change_pct == pytest.approx(-19.7802197802)
    assert found.change_of_first_pct == pytest.approx(-18.0)
    assert found.verdict == "beyond"
    # 100*((200+c(-1,1)*16.7)/(200-c(-1,1)*16.7)-1)
    band = volume_change(1500.0, 1230.0, rc_pct=16.7).band_of_first_pct
    assert band == pytest.approx((-15.4130133826, 18.2214948172))


@pytest.mark.parametrize(
    ("after", "verdict"),
    # of 100: 105 is 4.878 %, 106 5.825 %, 112 11.321 %, 113 12.207 % of the mean
    [(105, "within"), (100, "within"), (106, "between"), (112, "between"), (113, "beyond"), (80, "beyond")],
)
def test_three_verdicts_by_the_interval_of_the_rc(after: float, verdict: str) -> None:
    found = volume_change(100.0, after, rc_pct=8.0, rc_ci=(5.0, 12.0))
    assert found.verdict == verdict
    assert volume_change(float(after), 100.0, rc_pct=8.0, rc_ci=(5.0, 12.0)).verdict == verdict  # either order


def test_without_an_interval_there_are_two_verdicts_and_the_rc_itself_is_within() -> None:
    # 110 against 90: 20 % of their mean
    assert volume_change(90.0, 110.0, rc_pct=20.0).verdict == "within"
    assert volume_change(90.0, 110.1, rc_pct=20.0).verdict == "beyond"


def test_the_band_in_percent_of_the_first_is_the_same_band() -> None:
    lower, upper = volume_change(1.0, 1.0, rc_pct=30.0).band_of_first_pct
    for of_first in (lower, upper):
        ends = [volume_change(100.0, 100 + of_first * by, rc_pct=30.0).verdict for by in (0.999, 1.001)]
        assert ends == ["within", "beyond"]
    assert volume_change(1.0, 1.0, rc_pct=200.0).band_of_first_pct == (-100.0, None)


def test_unchanged_organs_are_beyond_the_rc_in_five_percent() -> None:
    rng = np.random.default_rng(5)
    wcv = 0.05
    pairs = 1000 * (1 + wcv * rng.standard_normal((20000, 2)))
    beyond = [volume_change(a, b, rc_pct=100 * 1.96 * math.sqrt(2) * wcv).verdict == "beyond" for a, b in pairs]
    assert np.mean(beyond) == pytest.approx(0.05, abs=0.006)  # four standard errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"before": 100.0, "after": None}, "the second volume is missing"),
        ({"before": 0.0, "after": 0.0}, "both volumes are 0"),
        (
            {"before": 100.0, "after": 90.0, "after_status": "truncated;multi_part"},
            "the second volume is truncated: only a part of the organ is in the image",
        ),
        ({"before": 100.0, "after": 0.0, "after_status": "absent"}, "the second volume is absent: it has no voxel"),
        ({"before": 9e4, "after": 90.0, "before_status": "implausible"}, "the first volume is implausible"),
        ({"before": 100.0, "after": 90.0, "rc_pct": None}, "no RC is given"),
    ],
)
def test_undefined_changes_say_why(arguments: dict[str, object], reason: str) -> None:
    found = volume_change(**{"rc_pct": 10.0, **arguments})  # type: ignore[arg-type]
    assert found.verdict is None
    assert reason in str(found.reason)
    assert (found.change_pct is None) == (arguments.get("rc_pct", 10.0) is not None)


def test_an_organ_of_several_parts_has_a_verdict() -> None:
    found = volume_change(100.0, 90.0, rc_pct=20.0, before_status="multi_part")
    assert (found.verdict, found.reason, found.before_status) == ("within", None, "multi_part")


@pytest.mark.parametrize(
    "wrong",
    [
        {"before": -1.0},
        {"after": math.inf},
        {"rc_pct": 0.0},
        {"rc_ci": (11.0, 12.0)},
        {"rc_ci": (5.0, math.inf)},
    ],
)
def test_impossible_numbers_are_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        volume_change(**{"before": 1.0, "after": 1.0, "rc_pct": 10.0, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("comparisons", [1, 2, 3])
def test_probability_of_a_false_alarm_by_the_multivariate_normal_distribution(comparisons: int) -> None:
    # Differences from the first reading have variance 2 and covariance 1.
    covariance = np.ones((comparisons, comparisons)) + np.eye(comparisons)
    reach = np.full(comparisons, 1.96 * math.sqrt(2))
    inside = stats.multivariate_normal(cov=covariance, abseps=1e-8, seed=0).cdf(reach, lower_limit=-reach)
    assert false_alarm_probability(comparisons) == pytest.approx(1 - inside, abs=2e-5)
