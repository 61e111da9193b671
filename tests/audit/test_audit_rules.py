"""Each rule by hand: a number that just fits gives no finding, one that just does not fit gives a finding."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from liverspleen.audit import Audit, Finding, audit, read_claims, read_published
from liverspleen.audit.findings import bounds
from liverspleen.audit.intervals import Interval
from liverspleen.audit.printed import read_printed
from liverspleen.errors import InputError

Check = Callable[..., Audit]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """An audit of numbers, `id=(quantity, printed)` or `id=(quantity, printed, n)`, under one rule."""

    def run(rule: str, cells: Mapping[str, Any], numbers: Mapping[str, tuple[Any, ...]], **settings: Any) -> Audit:
        lines = ["id,place,row,column,quantity,printed,unit,n,note"]
        lines += [f'{name},,,,{q[0]},"{q[1]}",,{q[2] if len(q) > 2 else ""},' for name, q in numbers.items()]
        (tmp_path / "p.csv").write_text("\n".join(lines), encoding="utf-8")
        entry = {"id": "claim", "rule": rule, "cells": cells, **settings}
        (tmp_path / "c.yaml").write_text(json.dumps({"claims": [entry]}), encoding="utf-8")
        published = read_published(tmp_path / "p.csv")
        claims = read_claims(tmp_path / "c.yaml", published.numbers)
        assert (*published.issues, *claims.issues) == ()
        return audit(published.numbers.values(), claims.claims)

    return run


def only(result: Audit) -> Finding:
    assert result.issues == ()
    assert len(result.findings) == 1, result.findings
    return result.findings[0]


def clean(result: Audit) -> bool:
    assert result.issues == ()
    return result.findings == ()


# Printed numbers


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [
        ("0.974", "0.9735", "0.9745"),
        ("-0.17", "-0.175", "-0.165"),
        ("−0.17", "-0.175", "-0.165"),
        ("\u00a0–0.17", "-0.175", "-0.165"),
        ("12", "11.5", "12.5"),
        ("1,183", "1182.5", "1183.5"),
        ("1.5e3", "1450", "1550"),
        (".05", "0.045", "0.055"),
        ("0.0", "-0.05", "0.05"),
        ("88.8%", "88.75", "88.85"),
    ],
)
def test_a_rounded_number_represents_all_values_that_round_to_it(text: str, lower: str, upper: str) -> None:
    assert read_printed(text).values("rounded") == Interval(Fraction(lower), Fraction(upper))


@pytest.mark.parametrize(
    ("text", "lower", "upper"), [("0.5", "0.45", "0.6"), ("-0.5", "-0.6", "-0.45"), ("0.0", "-0.1", "0.1")]
)
def test_digits_are_cut_towards_zero(text: str, lower: str, upper: str) -> None:
    assert read_printed(text).values("rounded or cut") == Interval(Fraction(lower), Fraction(upper))


def test_a_relation_is_a_bound() -> None:
    assert read_printed("< 0.001").values("rounded") == Interval(-math.inf, Fraction(1, 1000))
    assert read_printed("≥ 3").values("rounded") == Interval(Fraction(3), math.inf)


@pytest.mark.parametrize("text", ["", "NA", "0.1-0.2", "1e999", "1,2", "0x10", "١٢", "1 2", "--1", "nan", "1" * 40])
def test_text_that_is_not_one_number_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="not one printed number"):
        read_printed(text)


# Intervals


ends = st.fractions(min_value=-50, max_value=50, max_denominator=100)
pairs = st.tuples(ends, ends).map(sorted).map(lambda two: Interval(two[0], two[1]))
fractions = st.fractions(min_value=0, max_value=1, max_denominator=10)


def inside(interval: Interval, fraction: Fraction) -> Fraction:
    return Fraction(interval.lower + fraction * (interval.upper - interval.lower))


@settings(deadline=None)
@given(pairs, pairs, fractions, fractions)
def test_results_of_values_are_in_the_results_of_their_intervals(
    a: Interval, b: Interval, s: Fraction, t: Fraction
) -> None:
    x, y = inside(a, s), inside(b, t)
    for made, result in ((a + b, x + y), (a - b, x - y), (a * b, x * y), (a.square, x * x), (a.magnitude, abs(x))):
        assert made.lower <= result <= made.upper
    if a.lower > 0:
        assert a.reciprocal.lower <= 1 / x <= a.reciprocal.upper
        root = a.root
        assert root.lower**2 <= x <= root.upper**2  # rational arithmetic: no error


def test_the_slack_is_far_above_the_difference_of_two_implementations() -> None:
    # Those the rules use (Cephes, cdflib) against those of Boost behind scipy.stats.
    for df in (1, 2, 5, 29, 149, 5000):
        for t in (0.01, 0.5, 1.4, 3.8, 12.0):
            assert 2 * special.stdtr(df, -t) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-11)
        for tail in (0.025, 0.975):
            assert special.chdtri(df, tail) == pytest.approx(stats.chi2.isf(tail, df), rel=1e-11)
        for h in (0.1, 2.0, 9.0):
            assert special.chdtrc(df, h) == pytest.approx(stats.chi2.sf(h, df), rel=1e-11)


# Counts


def test_a_percentage_that_no_rounding_gives(check: Check) -> None:
    cells = {"percent": "p", "count": "c", "of": "n"}
    fits = {"c": ("count", "1"), "n": ("count", "8")}
    for text in ("12.5", "12", "13", "12.50"):  # 1/8: half down or to even, half up
        assert clean(check("percent", cells, {**fits, "p": ("percent", text)}))
    found = only(check("percent", cells, {**fits, "p": ("percent", "12.6")}))
    assert (found.severity, bounds(found)) == ("impossible", ("12.5", "12.5"))


def test_a_percentage_that_is_only_right_if_digits_were_cut_is_a_note(check: Check) -> None:
    numbers = {"c": ("count", "2"), "n": ("count", "3"), "p": ("percent", "66.6")}  # 66.67
    found = only(check("percent", {"percent": "p", "count": "c", "of": "n"}, numbers))
    assert found.severity == "note"
    assert "cut" in found.note


def test_a_percentage_that_no_whole_number_gives(check: Check) -> None:
    # Of 30: 26.7 is 8, 30.0 is 9; between them there is nothing.
    assert clean(check("percent", {"percent": "p"}, {"p": ("percent", "26.7", 30)}))
    found = only(check("percent", {"percent": "p"}, {"p": ("percent", "28.0", 30)}))
    assert bounds(found) == ("26.666", "26.667")


def test_parts_that_do_not_add_up(check: Check) -> None:
    numbers = {"t": ("count", "1132"), "a": ("count", "1068"), "b": ("count", "64")}
    assert clean(check("sum", {"total": "t", "parts": ["a", "b"]}, numbers))
    found = only(check("sum", {"total": "t", "parts": ["a"]}, numbers))
    assert (found.severity, bounds(found)) == ("contradiction", ("1068", "1068"))


def test_rounded_parts_may_miss_their_total_by_their_rounding(check: Check) -> None:
    numbers = {"t": ("value", "1.0"), "a": ("value", "0.3"), "b": ("value", "0.3"), "c": ("value", "0.3")}
    cells = {"total": "t", "parts": ["a", "b", "c"]}
    assert clean(check("sum", cells, numbers))  # 0.33 + 0.33 + 0.33
    found = only(check("sum", cells, {**numbers, "t": ("value", "1.4")}))
    assert bounds(found) == ("0.75", "1.05")


def test_a_part_is_not_larger_than_its_whole(check: Check) -> None:
    numbers = {"a": ("count", "30"), "b": ("count", "20"), "w": ("count", "50")}
    assert clean(check("part", {"part": ["a", "b"], "whole": "w"}, numbers))
    found = only(check("part", {"part": ["a", "b"], "whole": "w"}, {**numbers, "w": ("count", "49")}))
    assert bounds(found) == (None, "29")


# Samples


FOUR = {"mean": "m", "sd": "s", "minimum": "a", "maximum": "b"}


def four(mean: str, sd: str, low: str, high: str, n: int) -> dict[str, tuple[Any, ...]]:
    return {
        "m": ("mean", mean, n),
        "s": ("sd", sd, n),
        "a": ("minimum", low, n),
        "b": ("maximum", high, n),
    }


def test_the_widest_and_the_narrowest_data_fit_and_no_wider_ones(check: Check) -> None:
    # 0 0 0 10 10 10: SD √30 = 5.477. 0 5 5 5 5 10: SD √10 = 3.162. Ends of rounding: 5.477 (10.1/10) √(...), as below.
    for sd in ("5.477", "3.162", "4.000"):
        assert clean(check("sample", FOUR, four("5.000", sd, "0.000", "10.000", 6)))
    assert only(check("sample", FOUR, four("5.000", "5.480", "0.000", "10.000", 6))).severity == "impossible"
    found = only(check("sample", FOUR, four("5.000", "3.159", "0.000", "10.000", 6)))
    low, high = (float(bound) for bound in bounds(found) if bound)
    # u, v ≥ 4.999: √(2 × 4.999² / 5); the widest: √(6/5 × 5.0005²).
    assert low == pytest.approx(4.999 * math.sqrt(2 / 5), abs=2e-5)
    assert high == pytest.approx(5.0005 * math.sqrt(6 / 5), abs=2e-5)


def test_one_case_at_an_end_keeps_the_mean_away_from_the_other_end(check: Check) -> None:
    # Of 4 cases one has 10 and the others at least 0: the mean is at least 2.5.
    assert clean(check("sample", {k: v for k, v in FOUR.items() if k != "sd"}, four("2.5", "1", "0.0", "10.0", 4)))
    found = only(check("sample", {k: v for k, v in FOUR.items() if k != "sd"}, four("2.3", "1", "0.0", "10.0", 4)))
    assert found.number.id == "m"
    assert bounds(found)[0] == "2.45"  # (10 - 0.05 + 3 × (0 - 0.05))/4 = 2.45


def test_a_minimum_above_the_maximum(check: Check) -> None:
    found = check("sample", FOUR, four("5.0", "1.0", "9.0", "4.0", 10)).findings
    assert "a" in {finding.number.id for finding in found}


def test_equal_cases_have_no_spread(check: Check) -> None:
    assert clean(check("sample", FOUR, four("3.00", "0.00", "3.00", "3.00", 12)))
    assert only(check("sample", FOUR, four("3.00", "0.50", "3.00", "3.00", 12))).number.id == "s"


def test_two_cases_are_their_range(check: Check) -> None:
    assert clean(check("sample", FOUR, four("5.00", "7.07", "0.00", "10.00", 2)))  # √50
    assert only(check("sample", FOUR, four("5.00", "6.90", "0.00", "10.00", 2))).number.id == "s"


def test_values_outside_the_possible_values_of_a_case(check: Check) -> None:
    found = only(check("sample", FOUR, four("0.950", "0.020", "0.900", "1.010", 30), within=[0, 1]))
    assert (found.number.id, bounds(found)) == ("b", ("0", "1"))


def test_a_minimum_far_below_the_mean_needs_an_sd(check: Check) -> None:
    # Samuelson: with n = 10 and SD s a case is at most 9/√10 s = 2.846 s away.
    cells = {"mean": "m", "sd": "s", "minimum": "a"}
    assert clean(check("sample", cells, four("0.00", "1.00", "-2.85", "9", 10)))
    assert only(check("sample", cells, four("0.00", "1.00", "-2.95", "9", 10))).number.id == "s"


def test_means_that_whole_numbers_do_not_have(check: Check) -> None:
    # Brown and Heathers 2017: 28 whole numbers have means in steps of 1/28: 5.18 (145) and 5.21 (146), not 5.19.
    assert clean(check("sample", {"mean": "m"}, {"m": ("mean", "5.18", 28)}, step=1))
    found = only(check("sample", {"mean": "m"}, {"m": ("mean", "5.19", 28)}, step=1))
    assert found.severity == "note" or bounds(found)[0] == "5.1785"
    assert only(check("sample", {"mean": "m"}, {"m": ("mean", "5.194", 28)}, step=1)).severity == "impossible"


def test_sds_that_whole_numbers_do_not_have(check: Check) -> None:
    # Three whole numbers with sum 3: their squares sum to an odd number, as 5 (SD 1); 6 would be SD √1.5 = 1.22.
    numbers = {"m": ("mean", "1.00", 3), "s": ("sd", "1.00", 3)}
    cells = {"mean": "m", "sd": "s"}
    assert clean(check("sample", cells, numbers, step=1))
    assert only(check("sample", cells, {**numbers, "s": ("sd", "1.22", 3)}, step=1)).severity == "impossible"
    assert clean(check("sample", cells, {**numbers, "s": ("sd", "1.22", 3)}))  # any numbers


# Unions


def test_mean_sd_and_extremes_of_a_union(check: Check) -> None:
    # 1 3 and 5 7 9: 1 3 5 7 9 has mean 5 and SD √10 = 3.162.
    numbers = {
        **{"m": ("mean", "5.00", 5), "s": ("sd", "3.16", 5), "a": ("minimum", "1", 5), "b": ("maximum", "9", 5)},
        **{"m1": ("mean", "2.00", 2), "s1": ("sd", "1.41", 2), "a1": ("minimum", "1", 2), "b1": ("maximum", "3", 2)},
        **{"m2": ("mean", "7.00", 3), "s2": ("sd", "2.00", 3), "a2": ("minimum", "5", 3), "b2": ("maximum", "9", 3)},
    }
    cells = {**FOUR, "groups": [{key: f"{name}{k}" for key, name in FOUR.items()} for k in (1, 2)]}
    assert clean(check("union", cells, numbers))
    for changed, text, rest in (("m", "5.04", 5), ("s", "3.20", 5), ("s", "3.12", 5), ("a", "3", 5), ("b", "12", 5)):
        found = only(check("union", cells, {**numbers, changed: (numbers[changed][0], text, rest)}))
        assert (found.number.id, found.severity) == (changed, "impossible")
    # The least SD: means 2.005 and 6.995, SDs 1.405 and 1.995: √((1.405² + 2 × 1.995² + 6/5 × 4.99²)/4) = 3.1549.
    found = only(check("union", cells, {**numbers, "s": ("sd", "3.12", 5)}))
    assert float(bounds(found)[0] or "nan") == pytest.approx(3.1549, abs=1e-4)
    # The mean: (2 × 1.995 + 3 × 6.995)/5 to (2 × 2.005 + 3 × 7.005)/5.
    assert bounds(only(check("union", cells, {**numbers, "m": ("mean", "5.04", 5)}))) == ("4.995", "5.005")


def test_groups_that_do_not_sum_to_the_n_of_the_total(check: Check) -> None:
    numbers = {"m": ("mean", "5.0", 6), "m1": ("mean", "5.0", 2), "m2": ("mean", "5.0", 3)}
    found = only(check("union", {"mean": "m", "groups": [{"mean": "m1"}, {"mean": "m2"}]}, numbers))
    assert found.admissible is None
    assert "groups add up to 5" in found.why


# p values


def test_p_of_a_bias(check: Check) -> None:
    # R: 2 * pt(-0.17 / (3.07 / 1.96 / sqrt(150)), 149) = 0.1859.
    numbers = {"b": ("bias", "-0.17", 150), "h": ("half_width", "3.07", 150), "p": ("p", "0.19", 150)}
    cells = {"bias": "b", "half_width": "h", "p": "p"}
    assert clean(check("t_test", cells, numbers))
    found = only(check("t_test", cells, {**numbers, "p": ("p", "0.24", 150)}))
    low, high = (float(bound) for bound in bounds(found) if bound)
    assert low < 0.1859 < high
    assert high - low < 0.03


def test_a_p_below_a_bound(check: Check) -> None:
    cells = {"mean": "m", "sd": "s", "p": "p"}
    numbers = {"m": ("mean", "1.00", 25), "s": ("sd", "1.00", 25), "p": ("p", "< 0.001", 25)}  # t = 5
    assert clean(check("t_test", cells, numbers))
    assert only(check("t_test", cells, {**numbers, "m": ("mean", "0.50", 25)})).number.id == "p"  # t = 2.5


def test_p_of_h_and_the_smallest_that_n_allows(check: Check) -> None:
    # χ² with 2 degrees of freedom: P(χ² ≥ h) = exp(-h/2): h = 6.00 gives 0.0498.
    numbers = {"h": ("statistic", "6.00", 12), "p": ("p", "0.050", 12)}
    assert clean(check("kruskal_wallis", {"p": "p", "statistic": "h"}, numbers, groups=3))
    found = only(check("kruskal_wallis", {"p": "p", "statistic": "h"}, {**numbers, "p": ("p", "0.06", 12)}, groups=3))
    assert found.number.id == "p"
    # Of 6 cases H is at most 5, so p at least exp(-2.5) = 0.082; an exact p at least 1/90, three groups of two.
    assert clean(check("kruskal_wallis", {"p": "p"}, {"p": ("p", "0.02", 6)}, groups=3))
    assert only(check("kruskal_wallis", {"p": "p"}, {"p": ("p", "0.008", 6)}, groups=3)).severity == "impossible"
    # Three groups of three without overlap: exact p 3! 3!³/9! = 0.0036, though χ² gives no less than exp(-4) = 0.018.
    assert clean(check("kruskal_wallis", {"p": "p"}, {"p": ("p", "0.004", 9)}, groups=3))
    # Of 40 cases in two groups χ² gives as little as P(χ² ≥ 39), 4e-10, and so do 40!/20!² ways.
    assert clean(check("kruskal_wallis", {"p": "p"}, {"p": ("p", "0.000000001", 40)}, groups=2))
    beyond = check(
        "kruskal_wallis", {"p": "p", "statistic": "h"}, {"h": ("statistic", "7", 6), "p": ("p", "0.03", 6)}, groups=3
    )
    assert only(beyond).number.id == "h"


def test_p_of_z_and_the_smallest_that_n_allows(check: Check) -> None:
    cells = {"p": "p", "statistic": "z"}
    assert clean(check("wilcoxon", cells, {"z": ("statistic", "-1.96", 20), "p": ("p", "0.05", 20)}))
    assert only(check("wilcoxon", cells, {"z": ("statistic", "-1.96", 20), "p": ("p", "0.03", 20)})).number.id == "p"
    assert only(check("wilcoxon", cells, {"z": ("statistic", "-3.0", 5), "p": ("p", "0.003", 5)})).number.id == "z"
    # Five pairs: exact p at least 2/32 = 0.0625, by the normal approximation at least 2 Φ(-√5) = 0.0253.
    assert clean(check("wilcoxon", {"p": "p"}, {"p": ("p", "0.04", 5)}))
    assert only(check("wilcoxon", {"p": "p"}, {"p": ("p", "0.01", 5)})).number.id == "p"


def test_a_very_large_n_is_fast(check: Check) -> None:
    n = 999_999_999
    assert clean(check("wilcoxon", {"p": "p"}, {"p": ("p", "0.01", n)}))
    assert clean(check("sample", FOUR, four("5e90", "1e90", "0", "1e91", n), step=1))


# Agreement


def test_limits_from_mean_and_half_width(check: Check) -> None:
    numbers = {"b": ("bias", "-0.56"), "h": ("half_width", "3.78"), "l": ("lower", "-4.3"), "u": ("upper", "3.2")}
    cells = {"bias": "b", "half_width": "h", "lower": "l", "upper": "u"}
    assert clean(check("limits", cells, numbers))
    found = only(check("limits", cells, {**numbers, "l": ("lower", "4.3")}))
    assert (found.number.id, bounds(found)) == ("l", ("-4.35", "-4.33"))
    assert found.why == "mean - 1.96 SD: b (-0.56), h (3.78)"
    assert only(check("limits", {"bias": "b", "lower": "l", "upper": "u"}, {**numbers, "b": ("bias", "0.56")}))


@pytest.mark.parametrize("given", [("b", "h"), ("b", "l"), ("h", "u"), ("l", "u"), ("b",)])
def test_limits_that_nothing_follows_for_are_an_issue(check: Check, given: tuple[str, ...]) -> None:
    numbers = {"b": ("bias", "-0.56"), "h": ("half_width", "3.78"), "l": ("lower", "-4.3"), "u": ("upper", "3.2")}
    result = check("limits", {numbers[name][0]: name for name in given}, {name: numbers[name] for name in given})
    assert [issue.code for issue in result.issues] == ["LS-AUD-005"]


def test_half_width_and_sd_follow_from_each_other(check: Check) -> None:
    numbers = {"s": ("sd", "1.00"), "h": ("half_width", "1.96"), "l": ("lower", "-2.0")}
    assert clean(check("limits", {"sd": "s", "half_width": "h"}, numbers))
    found = only(
        check("limits", {"sd": "s", "half_width": "h", "lower": "l"}, {**numbers, "h": ("half_width", "2.06")})
    )
    assert found.number.id == "h"


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        ("sample", {"step": 0}),
        ("sample", {"step": -1}),
        ("sample", {"within": [1, 0]}),
        ("kruskal_wallis", {"groups": 2.5}),
        ("kruskal_wallis", {"groups": 9}),
    ],
)
def test_a_setting_out_of_range_is_an_issue_of_its_claim(check: Check, rule: str, settings: dict[str, Any]) -> None:
    numbers = {"m": ("mean", "0.5", 5), "s": ("sd", "0.2", 5), "p": ("p", "0.5", 5)}
    cells = {"mean": "m", "sd": "s"} if rule == "sample" else {"p": "p"}
    assert [issue.code for issue in check(rule, cells, numbers, **settings).issues] == ["LS-AUD-005"]


def test_limits_may_be_computed_with_the_quantile_itself(check: Check) -> None:
    numbers = {"b": ("bias", "0.00000"), "s": ("sd", "1.00000"), "u": ("upper", "1.95996")}
    assert clean(check("limits", {"bias": "b", "sd": "s", "upper": "u"}, numbers))
    assert clean(check("limits", {"bias": "b", "sd": "s", "upper": "u"}, {**numbers, "u": ("upper", "1.96000")}))
    assert only(check("limits", {"bias": "b", "sd": "s", "upper": "u"}, {**numbers, "u": ("upper", "2.00000")}))


def test_the_interval_of_a_coefficient(check: Check) -> None:
    # χ² with 50 degrees of freedom: 71.4202 and 32.3574; 19.9 √(50/71.42) = 16.65, 19.9 √(50/32.36) = 24.74.
    numbers = {"r": ("rc", "19.9"), "l": ("rc_lower", "16.7"), "u": ("rc_upper", "24.7")}
    cells = {"rc": "r", "rc_lower": "l", "rc_upper": "u"}
    assert clean(check("rc_interval", cells, numbers, df=50))
    assert only(check("rc_interval", cells, {**numbers, "u": ("rc_upper", "25.1")}, df=50)).number.id == "u"
    assert len(check("rc_interval", cells, numbers, df=20).findings) == 2


def parts(ratio: tuple[str, str]) -> dict[str, tuple[Any, ...]]:
    made = {"n": ("-0.42", "2.49"), "d": ("-0.97", "4.15"), "r": ratio}
    return {
        f"{key}.{name}": (quantity, text, 30)
        for key, both in made.items()
        for (name, quantity), text in zip((("b", "bias"), ("h", "half_width")), both, strict=True)
    }


RATIO = {
    role: {"bias": f"{key}.b", "half_width": f"{key}.h"}
    for role, key in (("ratio", "r"), ("numerator", "n"), ("denominator", "d"))
}


def test_a_ratio_against_its_parts(check: Check) -> None:
    assert clean(check("ratio", RATIO, parts(("0.55", "5.30"))))
    found = only(check("ratio", RATIO, parts(("0.62", "5.30"))))
    assert found.number.id == "r.b"
    # -0.42 + 0.97 = 0.55 ± 0.01, and 0.005 for terms of third order at most.
    assert [float(bound) for bound in bounds(found) if bound] == pytest.approx([0.54, 0.56], abs=5e-3)
    for spread in ("1.50", "6.80"):  # 4.15 - 2.49 = 1.66, 4.15 + 2.49 = 6.64
        assert only(check("ratio", RATIO, parts(("0.55", spread)))).number.id == "r.h"


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_data_satisfy_the_bound_of_third_order(seed: int) -> None:
    from liverspleen.audit.differences import _correction

    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    u, v = (rng.normal(0, 15, n) * rng.choice([1, 3], n, p=[0.8, 0.2]) for _ in range(2))
    u, v = u.clip(-150, 150), v.clip(-150, 150)
    exact = [Interval.of(Fraction(float(x))) for x in (u.mean(), v.mean(), u.std(ddof=1), v.std(ddof=1))]
    made = _correction(exact[:2], exact[2:], n)
    if made is None:
        return
    ratio = (200 + u) / (200 - u) * (200 - v) / (200 + v)
    d = 200 * (ratio - 1) / (ratio + 1)
    assert made[0].lower - 1e-9 <= d.mean() - (u.mean() - v.mean()) <= made[0].upper + 1e-9
    assert abs(d.std(ddof=1) - (u - v).std(ddof=1)) <= float(made[1]) + 1e-9


def test_differences_without_a_bound_give_no_finding(check: Check) -> None:
    numbers = {name: (q[0], "390", 30) for name, q in parts(("0", "0")).items()}
    assert clean(check("ratio", RATIO, numbers))


def overlaps(bias: str, half: str) -> dict[str, tuple[Any, ...]]:
    return {
        **{"b": ("bias", bias, 30), "h": ("half_width", half, 30)},
        **{"m": ("mean", "0.980", 30), "s": ("sd", "0.010", 30)},
    }


def test_volumes_differ_by_no_more_than_the_masks(check: Check) -> None:
    cells = {"bias": "b", "half_width": "h", "dss": {"mean": "m", "sd": "s"}}
    assert clean(check("overlap", cells, overlaps("4.05", "4.00")))
    # 200 (1 - 0.9795) = 4.1.
    assert only(check("overlap", cells, overlaps("4.20", "2.00"))).number.id == "b"
    # 200² (0.0205² + 0.0105² 29/30) = 21.07, its root 4.59; SD at most 4.59 √(30/29), times 1.96: 9.15.
    assert clean(check("overlap", cells, overlaps("0.00", "9.10")))
    found = only(check("overlap", cells, overlaps("0.00", "9.20")))
    assert float(bounds(found)[1] or "nan") == pytest.approx(9.15, abs=0.01)


# Sentences


def test_one_number_with_different_digits(check: Check) -> None:
    numbers = {"a": ("bias", "-0.2"), "b": ("bias", "-0.17"), "c": ("bias", "-0.25")}
    assert clean(check("same", {"cells": ["a", "b"]}, numbers))
    assert clean(check("same", {"cells": ["a", "c"]}, numbers))  # -0.25 to even, or -0.2499
    found = only(check("same", {"cells": ["b", "c"]}, numbers))
    assert (found.number.id, found.severity, bounds(found)) == ("b", "contradiction", ("-0.255", "-0.245"))


def test_a_p_and_its_bound_may_be_one_number(check: Check) -> None:
    numbers = {"a": ("p", "< 0.001"), "b": ("p", "0.001")}  # 0.0005 to 0.001
    assert clean(check("same", {"cells": ["a", "b"]}, numbers))
    assert only(check("same", {"cells": ["a", "b"]}, {**numbers, "b": ("p", "0.002")}))


def test_the_span_of_a_sentence(check: Check) -> None:
    numbers = {
        **{"l": ("lowest", "2.2"), "h": ("highest", "3.6")},
        **{"a": ("half_width", "2.23"), "b": ("half_width", "3.64"), "c": ("half_width", "2.9")},
    }
    cells = {"lowest": "l", "highest": "h", "cells": ["a", "b", "c"]}
    assert clean(check("span", cells, numbers))
    assert only(check("span", cells, {**numbers, "h": ("highest", "3.4")})).number.id == "h"
    assert only(check("span", cells, {**numbers, "l": ("lowest", "2.1")})).number.id == "l"


@pytest.mark.parametrize(
    ("bound", "holds"), [("< 7", False), ("≤ 7", True), ("< 8", True), ("> 7", False), ("≥ 7", True), ("> 6", True)]
)
def test_a_bound_means_its_number(check: Check, bound: str, holds: bool) -> None:
    numbers = {"b": ("bound", bound), "c": ("count", "7")}
    assert clean(check("bound", {"bound": "b", "cells": ["c"]}, numbers)) == holds


def test_a_rounded_number_may_satisfy_a_bound_that_its_text_does_not(check: Check) -> None:
    cells = {"bound": "b", "cells": ["c"]}
    assert clean(check("bound", cells, {"b": ("bound", "< 5.2"), "c": ("value", "5.20")}))  # 5.197
    assert bounds(only(check("bound", cells, {"b": ("bound", "< 5.2"), "c": ("value", "5.22")}))) == ("5.215", None)


# Numbers alone


@pytest.mark.parametrize(("quantity", "text"), [("p", "1.2"), ("percent", "104"), ("sd", "-0.2"), ("count", "3.5")])
def test_a_number_that_its_quantity_cannot_have(check: Check, quantity: str, text: str) -> None:
    numbers = {"x": (quantity, text, 10), "a": ("value", "1"), "b": ("value", "1")}
    found = only(check("same", {"cells": ["a", "b"]}, numbers))
    assert (found.number.id, found.severity, found.rule) == ("x", "impossible", "quantity")


# Issues


def test_a_claim_without_what_its_rule_needs_is_one_issue(check: Check) -> None:
    result = check(
        "t_test",
        {"bias": "b", "half_width": "h", "p": "p"},
        {"b": ("bias", "1"), "h": ("half_width", "2"), "p": ("p", "0.1")},
    )
    assert [issue.code for issue in result.issues] == ["LS-AUD-005"]
    assert "no n" in result.issues[0].message


BAD_CLAIMS: dict[str, Any] = {
    "no map": ["x"],
    "no id": {"rule": "same", "cells": {"cells": ["a", "b"]}},
    "id is a number": {"id": 1.5, "rule": "same", "cells": {"cells": ["a", "b"]}},
    "unknown rule": {"id": "x", "rule": "sane", "cells": {"cells": ["a", "b"]}},
    "unknown role": {"id": "x", "rule": "same", "cells": {"cell": ["a", "b"]}},
    "missing role": {"id": "x", "rule": "sum", "cells": {"total": "a"}},
    "unknown number": {"id": "x", "rule": "same", "cells": {"cells": ["a", "z"]}},
    "unknown key": {"id": "x", "rule": "same", "cells": {"cells": ["a", "b"]}, "tolerance": 0.1},
    "missing setting": {"id": "x", "rule": "kruskal_wallis", "cells": {"p": "a"}},
    "setting no number": {"id": "x", "rule": "kruskal_wallis", "cells": {"p": "a"}, "groups": "five"},
    "setting not finite": {"id": "x", "rule": "kruskal_wallis", "cells": {"p": "a"}, "groups": float("inf")},
    "severity made worse": {"id": "x", "rule": "same", "cells": {"cells": ["a", "b"]}, "severity": "impossible"},
    "list for one": {"id": "x", "rule": "sum", "cells": {"total": ["a"], "parts": ["b"]}},
    "no sample": {"id": "x", "rule": "union", "cells": {"mean": "a", "groups": {"mean": "b"}}},
    "unknown role of a sample": {"id": "x", "rule": "union", "cells": {"mean": "a", "groups": [{"median": "b"}]}},
    "nothing in a role": {"id": "x", "rule": "same", "cells": {"cells": []}},
}


@pytest.mark.parametrize("entry", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_a_bad_claim_is_one_issue_and_the_others_are_read(tmp_path: Path, entry: Any) -> None:
    (tmp_path / "p.csv").write_text(
        "id,place,row,column,quantity,printed,unit,n,note\na,,,,value,1,,,\nb,,,,value,1,,,\n", encoding="utf-8"
    )
    good = {"id": "good", "rule": "same", "cells": {"cells": ["a", "b"]}}
    (tmp_path / "c.yaml").write_text(json.dumps({"claims": [entry, good, good]}), encoding="utf-8")
    claims = read_claims(tmp_path / "c.yaml", read_published(tmp_path / "p.csv").numbers)
    assert [claim.id for claim in claims.claims] == ["good"]
    assert [issue.code for issue in claims.issues] == ["LS-AUD-004"] * 2
    assert "twice" in claims.issues[1].message


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "claims: 3", "[", "claims: !!python/object/apply:os.system ['true']", "- 1", "\x00"],
)
def test_a_file_without_claims_is_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_claims(tmp_path / "c.yaml", {})
    assert [issue.code for issue in error.value.issues] == ["LS-AUD-003"]


def test_aliases_that_expand_without_end_are_rejected(tmp_path: Path) -> None:
    bomb = "\n".join(
        [f"x0: &x0 [{','.join(['a'] * 9)}]", *(f"x{k}: &x{k} [{','.join([f'*x{k - 1}'] * 9)}]" for k in range(1, 30))]
    )
    text = f"{bomb}\nclaims:\n  - {{id: x, rule: same, cells: {{cells: *x29}}, note: *x29}}\n  - {{id: *x29}}\n"
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="more than 20000 values"):
        read_claims(tmp_path / "c.yaml", {})


@pytest.mark.parametrize(
    "row",
    [
        "a,,,,value,1,,,",  # an id twice
        ",,,,value,1,,,",
        "b,,,,average,1,,,",
        "b,,,,value,NA,,,",
        "b,,,,value,1,,0,",
        "b,,,,value,1,,3.5,",
        "b,,,,value,1,,,,",
        "b,,,,value,1",
    ],
)
def test_a_bad_row_is_one_issue_and_the_others_are_read(tmp_path: Path, row: str) -> None:
    header = "id,place,row,column,quantity,printed,unit,n,note"
    (tmp_path / "p.csv").write_text(f"{header}\na,,,,value,1,,,\n{row}\nc,,,,value,2,,,\n", encoding="utf-8")
    published = read_published(tmp_path / "p.csv")
    assert [*published.numbers] == ["a", "c"]
    assert [issue.code for issue in published.issues] == ["LS-AUD-002"]
    assert "row 3" in published.issues[0].message


@pytest.mark.parametrize("content", [b"", b"id,printed\na,1\n", b"\xff\xfe\x00", b'id,place\n"a'])
def test_a_file_without_numbers_is_rejected(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_published(tmp_path / "p.csv")
    assert [issue.code for issue in error.value.issues] == ["LS-AUD-001"]
