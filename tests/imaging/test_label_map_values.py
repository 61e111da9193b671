"""Images of non-negative whole numbers, mostly 0, with at most 150 distinct values are label maps."""

from __future__ import annotations

import numpy as np
import pytest

from liverspleen.imaging.label_map_values import looks_like_label_map

ONES = np.repeat([0, 1], [60, 40])


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", "?"])
def test_a_mask_is_a_label_map_in_each_data_type(dtype: str) -> None:
    assert looks_like_label_map(ONES.astype(dtype))


@pytest.mark.parametrize(("distinct", "expected"), [(150, True), (151, False)])
def test_a_label_map_has_at_most_150_distinct_values(distinct: int, expected: bool) -> None:
    values = np.concatenate([np.zeros(2 * distinct), np.arange(distinct)])
    assert looks_like_label_map(values) is expected


@pytest.mark.parametrize(
    "values",
    [
        ONES - 1,  # negative
        1 - ONES,  # mostly 1
        ONES[20:],  # half of them 0
        ONES * 0.5,
        np.where(ONES, np.nan, 0.0),
        np.where(ONES, np.inf, 0.0),
        np.array([]),
    ],
)
def test_other_images_are_not(values: np.ndarray) -> None:
    assert not looks_like_label_map(values)
