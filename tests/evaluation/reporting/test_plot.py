"""The Bland-Altman plot shows a given result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib import pyplot

from liverspleen.evaluation import bland_altman, plot_bland_altman

REFERENCE = [1000.0, 1500.0, 1250.0, 1700.0, 1200.0]
TEST = [1010.0, 1490.0, 1280.0, 1700.0, 1200.0]  # differences 10, -10, 30, 0, 0: mean 6, SD √230 = 15.166


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    pyplot.close("all")


def heights(axes: pyplot.Axes) -> list[float]:
    return sorted(line.get_ydata()[0] for line in axes.lines)


def test_points_bias_and_limits_are_plotted() -> None:
    axes = plot_bland_altman(bland_altman(TEST, REFERENCE))
    (points,) = axes.collections
    assert np.asarray(points.get_offsets()).tolist() == [[1005, 10], [1495, -10], [1265, 30], [1700, 0], [1200, 0]]
    sd = np.sqrt(230)
    assert heights(axes) == pytest.approx([6 - 1.96 * sd, 0, 6, 6 + 1.96 * sd])
    assert (axes.get_title(), axes.get_xlabel()) == ("n = 5", "Mean of test and reference")
    assert [text.get_text() for text in axes.texts] == ["Mean\n6.0", "+1.96 SD\n35.7", "−1.96 SD\n−23.7"]


def test_bands_are_the_confidence_intervals_of_the_table() -> None:
    result = bland_altman(TEST, REFERENCE)
    assert result.intervals is not None
    assert result.intervals.exact is not None
    expected = [result.intervals.bias_ci, result.intervals.exact.loa_upper_ci, result.intervals.exact.loa_lower_ci]
    found = [
        patch.get_extents().transformed(axes.transData.inverted())
        for axes in [plot_bland_altman(result)]
        for patch in axes.patches
    ]
    assert [(box.y0, box.y1) for box in found] == [pytest.approx(tuple(one)) for one in expected]


def test_fewer_than_five_pairs_show_points_without_limits() -> None:
    axes = plot_bland_altman(bland_altman(TEST[:4], REFERENCE[:4]))
    assert heights(axes) == [0, 7.5]
    assert not axes.patches


def test_given_axes_are_used_and_returned() -> None:
    _, (left, right) = pyplot.subplots(1, 2)
    assert plot_bland_altman(bland_altman(TEST, REFERENCE, scale="percent"), ax=right) is right
    assert right.get_ylabel() == "Difference test − reference, % of their mean"
    assert not left.collections
    assert len(pyplot.get_fignums()) == 1


def test_a_log_scale_shows_ratios() -> None:
    axes = plot_bland_altman(bland_altman(TEST, REFERENCE, scale="log"))
    assert axes.get_ylabel() == "Ratio test / reference"
    logs = np.log(TEST) - np.log(REFERENCE)
    half = 1.96 * logs.std(ddof=1)
    assert 0.01 < half < 0.1
    assert axes.texts[1].get_text() == f"+1.96 SD\n{np.exp(logs.mean() + half):.3f}"


def test_undefined_values_are_not_plotted_and_dropped_pairs_are_counted() -> None:
    one = plot_bland_altman(bland_altman([110.0, np.nan], [100.0, 100.0]))
    assert one.get_title() == "n = 1 (1 dropped)"
    assert heights(one) == [0, 10]  # no limits
    same = plot_bland_altman(bland_altman([105.0, 205.0, 305.0], [100.0, 200.0, 300.0]))
    assert heights(same) == [0, 5]
    none = plot_bland_altman(bland_altman([np.nan], [100.0]))
    assert (none.get_title(), [text.get_text() for text in none.texts]) == ("n = 0 (1 dropped)", ["no complete pairs"])
    assert not none.collections
    assert not none.lines
