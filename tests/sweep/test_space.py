"""Search spaces as files of conf/search describe them."""

from typing import Any

import pytest

from liverspleen.sweep.space import Space, to_overrides


def test_a_grid_has_every_combination_once_and_the_last_parameter_changes_fastest() -> None:
    space = Space.of({"network": ["small", "unet_2d"], "slices.count": {"low": 1, "high": 5, "step": 2}})
    points = [(point["network"], point["slices.count"]) for point in space.grid()]
    assert points == [("small", 1), ("small", 3), ("small", 5), ("unet_2d", 1), ("unet_2d", 3), ("unet_2d", 5)]


def test_a_range_of_whole_numbers_has_steps_of_one() -> None:
    assert Space.of({"network.width": {"low": 4, "high": 7}}).size == 4


def test_a_range_of_reals_in_steps_ends_at_its_upper_limit() -> None:
    values = [
        point["loss.tversky_alpha"]
        for point in Space.of({"loss.tversky_alpha": {"low": 0.1, "high": 0.4, "step": 0.1}}).grid()
    ]
    assert values == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_range_of_reals_without_step_has_no_grid() -> None:
    assert Space.of({"optimizer.lr": {"low": 1e-4, "high": 1e-2}}).size is None


def test_lists_and_none_become_overrides() -> None:
    space = Space.of({"network.rates": [[2, 4, 6], None], "trainer.compile": [True, False]})
    first, *_, last = (to_overrides(point) for point in space.grid())
    assert first == ["network.rates=[2, 4, 6]", "trainer.compile=true"]
    assert last == ["network.rates=null", "trainer.compile=false"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "no parameter"),
        ({"a": []}, "neither a list"),
        ({"a": "small"}, "neither a list"),
        ({"a": {"low": 1}}, "neither a list"),
        ({"a": {"low": 1, "high": 2, "base": 10}}, "neither a list"),
        ({"a": [1, 2, 1]}, "twice"),
        ({"a": {"low": 2, "high": 1}}, "low < high"),
        ({"a": {"low": 0, "high": 1, "log": True}}, "above 0"),
        ({"a": {"low": 1, "high": 9, "step": 0}}, "above 0"),
        ({"a": {"low": 1.0, "high": 9.0, "log": True, "step": 2.0}}, "no step"),
        ({"a": {"low": "1e-4", "high": 1}}, "not a number"),
        ({"a": {"low": True, "high": 3}}, "not a number"),
    ],
)
def test_an_invalid_parameter_is_rejected(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Space.of(written)
