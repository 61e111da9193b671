"""Missing values mean the same in every public statistic, however the caller's library writes them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pytest

from liverspleen.evaluation import (
    bland_altman,
    bootstrap_ci,
    choose,
    compare_rc,
    concordance_correlation,
    dss,
    dunn,
    icc,
    kruskal_wallis,
    overlaps,
    percentage_rc,
    proportional_bias,
    surface_distances,
    tost,
    volume_change,
    volume_cm3,
    wilcoxon_signed_rank,
)
from liverspleen.evaluation.statistics.samples import describe
from liverspleen.organs import Structure

NAN = float("nan")
TEST, REFERENCE = [101.0, 99.0, NAN, 103.0, 104.0, 98.5], [100.0, 100.0, 90.0, 100.0, 101.0, 97.0]


def masked(values: list[float]) -> Any:
    """Return a masked array with a value of 9999 behind the mask."""
    array = np.array(values)
    return np.ma.array(np.where(np.isnan(array), 9999.0, array), mask=np.isnan(array))


FORMS: dict[str, Callable[[list[float]], Any]] = {
    "masked array": masked,
    "list with a masked element": lambda values: [np.ma.masked if value != value else value for value in values],
    "pandas.NA in a list": lambda values: [pandas.NA if value != value else value for value in values],
    "nullable column": lambda values: pandas.Series(values, dtype="Float64"),
    "column of objects": lambda values: pandas.Series([None if v != v else v for v in values], dtype=object),
    "generator": lambda values: (value for value in values),
    "dictionary values": lambda values: dict(enumerate(values)).values(),
}
PAIRED: dict[str, Callable[[Any, Any], Any]] = {
    "bland_altman": bland_altman,
    "wilcoxon": wilcoxon_signed_rank,
    "tost": lambda test, reference: tost(test, reference, margin=5.0),
    "proportional_bias": proportional_bias,
    "concordance": concordance_correlation,
    "percentage_rc": percentage_rc,
    "kruskal_wallis": lambda test, reference: kruskal_wallis({"a": test, "b": reference}),
    "dunn": lambda test, reference: dunn({"a": test, "b": reference}),
    "bootstrap_ci": lambda test, _: bootstrap_ci(test, resamples=1000),
    "describe": lambda test, _: describe(test),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PAIRED)
def test_a_missing_value_is_dropped_in_every_form(name: str, form: str) -> None:
    make, statistic = FORMS[form], PAIRED[name]
    found = statistic(make(TEST), make(REFERENCE)).to_dict()
    assert found == statistic(TEST, REFERENCE).to_dict()
    assert found.get("n_missing", found.get("n_dropped")) == 1


TABLE = [[9.0, 10.0, 9.5], [5.0, 6.0, NAN], [8.0, 9.0, 8.0], [7.0, 8.5, 7.0], [6.0, 6.5, 6.0]]
TABLES: dict[str, Callable[[list[list[float]]], Any]] = {
    "masked array": lambda rows: masked(rows),  # type: ignore[arg-type]
    "rows that are masked arrays": lambda rows: [masked(row) for row in rows],
    "nullable columns": lambda rows: pandas.DataFrame(rows).astype("Float64"),
    "generator of rows": lambda rows: (row for row in rows),
    "generator of tuples with None": lambda rows: (tuple(None if v != v else v for v in row) for row in rows),
}


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("statistic", [icc, percentage_rc, lambda table: bootstrap_ci(table, statistic=np.mean)])
def test_a_missing_reading_of_a_table_is_missing_in_every_form(statistic: Callable[[Any], Any], form: str) -> None:
    assert statistic(TABLES[form](TABLE)).to_dict() == statistic(TABLE).to_dict()


@pytest.mark.parametrize("form", TABLES)
def test_two_tables_are_compared_in_every_form(form: str) -> None:
    other = [[value + 0.1 * k for k, value in enumerate(row)] for row in TABLE]
    assert compare_rc(TABLES[form](TABLE), TABLES[form](other)).to_dict() == compare_rc(TABLE, other).to_dict()


def test_values_behind_a_mask_do_not_count() -> None:
    """By hand: differences 1, -1, 3, 3."""
    test = np.ma.array([101.0, 99.0, 103.0, 104.0, 9999.0], mask=[0, 0, 0, 0, 1])
    found = bland_altman(test, np.array([100.0, 100.0, 100.0, 101.0, 100.0]))
    assert (found.n, found.bias) == (4, 1.5)


@pytest.mark.parametrize("missing", [None, NAN, pandas.NA, "", np.ma.masked, np.datetime64("NaT"), pandas.NaT])
def test_missing_clusters_are_rejected(missing: object) -> None:
    """They would be one patient."""
    with pytest.raises(ValueError, match=r"2 of 4 clusters are missing"):
        bootstrap_ci([1.0, 2.0, 3.0, 4.0], clusters=["p1", missing, missing, "p2"])


def test_missing_clusters_of_a_masked_array_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"1 of 3 clusters is missing"):
        bootstrap_ci([1.0, 2.0, 3.0], clusters=np.ma.array([7, 7, 8], mask=[0, 1, 0]))  # type: ignore[arg-type]


def test_a_group_without_a_name_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"1 of 2 group names is missing"):
        kruskal_wallis({"a": [1.0, 2.0], None: [3.0, 4.0]})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1.0", "2.0"], "contains '1.0', expected numbers"),
        (np.array([1.0, "x"], dtype=object), "contains 'x', expected numbers"),
        ([1 + 2j], "expected numbers"),
        ({1.0, 2.0}, "is a set, expected values in an order"),
        ({"a": 1.0}, "is a dict, expected values in an order"),
        ("12", "is a str, expected values in an order"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "expected numbers"),
        ([[1.0], [1.0, 2.0]], "parts of different lengths"),
        ([10**400], "expected numbers"),
        (np.ma.array([np.inf, 1.0]), "infinity"),
    ],
)
def test_what_is_not_a_number_is_rejected(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe(values)  # type: ignore[arg-type]


def test_an_infinity_behind_a_mask_is_missing() -> None:
    assert describe(np.ma.array([np.inf, 1.0, 3.0], mask=[1, 0, 0])).mean == 2.0


@pytest.mark.parametrize("missing", [None, NAN, pandas.NA, np.ma.masked])
def test_a_missing_volume_has_no_change(missing: Any) -> None:
    assert volume_change(missing, 1500.0, rc_pct=10.0).reason == "the first volume is missing"
    assert volume_change(1500.0, 1400.0, rc_pct=missing).reason == "no RC is given"


def test_nullable_scores_are_compared() -> None:
    rows = [
        (c, s, k, q + 0.001 * s + 0.01 * k)
        for c, q in (("a", 0.9), ("b", 0.8))
        for s in range(5)
        for k in "xyz"
        for k in (ord(k) - 120,)
    ]
    plain = pandas.DataFrame(rows, columns=["configuration", "seed", "case_id", "score"])
    plain.loc[3, "score"] = NAN
    assert choose(plain.convert_dtypes()).to_dict() == choose(plain).to_dict()
    plain.loc[3, "configuration"] = None
    with pytest.raises(ValueError, match=r"1 of 30 values of configuration is missing"):
        choose(plain)


def test_masked_voxels_are_rejected() -> None:
    """A masked voxel is neither inside nor outside."""
    mask = np.ma.array(np.ones((2, 2, 2), bool), mask=np.eye(2, dtype=bool)[None].repeat(2, 0))
    calls: list[Callable[[], object]] = [
        lambda: dss(mask, mask.filled(False)),
        lambda: volume_cm3(mask, np.eye(4)),
        lambda: surface_distances(mask, mask, np.eye(4), tolerance_mm=1.0),
        lambda: overlaps(np.ma.array(mask, dtype=np.uint8), np.ones((2, 2, 2), np.uint8)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"has 4 masked elements of 8"):
            call()
    assert overlaps(np.ma.array([1, 0]), np.array([1, 1]))[Structure.LIVER].tp == 1
