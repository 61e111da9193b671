"""Readers on the same cases: paired tests as in R 4.2.2, one set of cases, all excluded cases listed."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from liverspleen.errors import InputError
from liverspleen.evaluation import (
    Measurements,
    ReaderComparison,
    compare_readers,
    merge_measurements,
    read_measurements,
    write_comparison,
)

# a <- c(.961,.952,.974,.930,.968,.945,.981,.957); b <- c(.948,.955,.960,.921,.949,.940,.969,.957)
# c3 <- c(.950,.951,.962,.918,.960,.944,.970,.950); ref, va, vb likewise
DSS = {
    "a": [0.961, 0.952, 0.974, 0.930, 0.968, 0.945, 0.981, 0.957],
    "b": [0.948, 0.955, 0.960, 0.921, 0.949, 0.940, 0.969, 0.957],
    "c": [0.950, 0.951, 0.962, 0.918, 0.960, 0.944, 0.970, 0.950],
}
REFERENCE = [1500, 1320, 1610, 980, 1745, 1210, 1402, 1555]
VOLUMES = {
    "a": [1485, 1338, 1620, 965, 1760, 1198, 1410, 1540],
    "b": [1462, 1350, 1655, 990, 1701, 1180, 1420, 1530],
    "c": [1490, 1330, 1600, 970, 1750, 1200, 1405, 1550],
}
FIELDS = ("case_id", "patient_id", "dataset", "condition", "structure", "reader", "volume_cm3", "reference", "dss")


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Measurements]:
    """A function that writes the example for some readers, except for some (reader, case), and reads it."""
    numbers = itertools.count()

    def made(
        *readers: str,
        without: set[tuple[str, int]] = frozenset(),
        facts: Mapping[str, str] = {},  # type: ignore[assignment]
    ) -> Measurements:
        path = tmp_path / f"{next(numbers)}.csv"
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, FIELDS, restval="")
            writer.writeheader()
            for case, volume in enumerate(REFERENCE):
                row = {"case_id": f"k{case}", "structure": "liver", "condition": "cld" if case < 6 else "fatty"} | facts
                writer.writerow(row | {"reader": "manual", "volume_cm3": volume})
                for reader in readers:
                    if (reader, case) not in without:
                        scored = {"reader": reader, "volume_cm3": VOLUMES[reader][case], "dss": DSS[reader][case]}
                        writer.writerow(row | scored | {"reference": "manual"})
        return read_measurements(path)

    return made


def values(comparison: ReaderComparison, table: str, row: str, column: str) -> list[float | None]:
    return [*comparison.table(table)[row][column].values.values()]


def test_dss_of_three_readers_as_in_r(table: Callable[..., Measurements]) -> None:
    found = compare_readers(table("a", "b", "c"))
    # w(x, y): rank sum, z and p of the signed ranks, zeros dropped, tie-corrected variance, no continuity correction
    p, z, w_plus = values(found, "score_differences", "liver:a vs b", "p")
    assert (w_plus, z, p) == pytest.approx((27, 2.1974010622941, 0.0279918154857))
    p, z, w_plus = values(found, "score_differences", "liver:b vs c", "p")
    assert (w_plus, z, p) == pytest.approx((16.5, -0.2105587219031, 0.8332316252704))
    # p.adjust(c(w(a,b)["p"], w(a,c3)["p"], w(b,c3)["p"]), "holm")
    holm = [values(found, "score_differences", f"liver:{pair}", "p_holm")[0] for pair in ("a vs b", "a vs c", "b vs c")]
    assert holm == pytest.approx([0.0559836309713, 0.0342361091580, 0.8332316252704])
    # W <- sort of the Walsh averages; k <- qsignrank(.025, 8); c(median(W), W[k], W[length(W)+1-k])
    assert values(found, "score_differences", "liver:a vs b", "shift") == pytest.approx([0.0090, 0.0010, 0.0155])
    assert values(found, "score_differences", "liver:a vs b", "effect") == pytest.approx([0.9285714285714])


def test_volume_errors_and_limits_as_in_r(table: Callable[..., Measurements]) -> None:
    found = compare_readers(table("a", "b"))
    # e <- function(v) abs(200*(v-ref)/(v+ref)); w(e(va), e(vb)); hl(e(va), e(vb))
    p, z, w_plus = values(found, "error_differences_percent", "liver:a vs b", "p")
    assert (w_plus, z, p) == pytest.approx((1, -2.3804761428476, 0.0172902805929))
    shift = values(found, "error_differences_percent", "liver:a vs b", "shift")
    assert shift == pytest.approx([-1.15417881426, -1.82554794320, -0.18280058966])
    # w(abs(va-ref), abs(vb-ref)); hl(abs(va-ref), abs(vb-ref))
    p, z, w_plus = values(found, "error_differences_absolute", "liver:a vs b", "p")
    assert (w_plus, z, p) == pytest.approx((1, -2.3833987665915, 0.0171536017002))
    assert values(found, "error_differences_absolute", "liver:a vs b", "shift") == pytest.approx([-16.5, -29.0, -3.5])
    # c(mean(e(va)), sd(e(va)), range(e(va)))
    assert values(found, "errors", "liver", "a") == pytest.approx(
        [0.988991457402, 0.331956581772, 0.568990042674, 1.542416452442]
    )
    # d <- 200*(va-vb)/(va+vb); t.test(d); g <- qt(c(.025,.975), 7, 1.96*sqrt(8))/sqrt(8); mean(d) + g*sd(d)
    bias = values(found, "limits", "liver:a vs b", "bias")
    assert bias == pytest.approx([0.10514392340, -1.59926527438, 1.80955312118])
    lower = values(found, "limits", "liver:a vs b", "lower")
    assert lower == pytest.approx([-3.89073936280, -8.54562036702, -2.11978341851], rel=1e-6)
    upper = values(found, "limits", "liver:a vs b", "upper")
    assert upper == pytest.approx([4.10102720960, 2.33007126531, 8.75590821383], rel=1e-6)
    assert values(found, "limits", "liver:a vs b", "p")[0] == pytest.approx(0.88813409381)


def test_swapping_readers_negates_every_difference(table: Callable[..., Measurements]) -> None:
    both = table("a", "b")
    first, second = compare_readers(both), compare_readers(both, readers=["b", "a"])
    shift = values(first, "score_differences", "liver:a vs b", "shift")
    assert values(second, "score_differences", "liver:b vs a", "shift") == pytest.approx(
        [-shift[0], -shift[2], -shift[1]]
    )


def test_a_case_that_one_reader_lacks_is_excluded_for_all_and_listed(table: Callable[..., Measurements]) -> None:
    found = compare_readers(table("a", "b", "c", without={("b", 2), ("c", 5)}))
    for row in found.table("score_differences").values():
        assert (row["p"].n, row["p"].excluded) == (6, ("k2", "k5"))
    assert found.common["liver DSS"] == ("k0", "k1", "k3", "k4", "k6", "k7")
    assert found.table("scores")["liver:cld"]["a"].excluded == ("k2", "k5")
    texts = [str(note.issue) for note in found.notes]
    (note,) = [note for note in found.notes if note.code == "LS-CMP-010" and note.cases]
    assert note.message.startswith("liver DSS, liver volume compared in 6 of 8 CT scans")
    assert note.message.endswith("2 CT scans excluded")
    assert note.cases == ("k2", "k5")
    assert any(text.startswith("LS-REP-011: reader 'b' has no liver row in 1 of 8 CT scans (k2)") for text in texts)


def test_an_organ_without_measurements_has_no_row(table: Callable[..., Measurements]) -> None:
    found = compare_readers(table("a", "b"))
    assert {row.partition(":")[0] for row in found.table("score_differences")} == {"liver"}
    (note,) = [note for note in found.notes if note.code == "LS-CMP-010"]
    assert note.message.startswith("spleen DSS, spleen volume, ratio not compared: ")


def test_conditions_make_the_rows_of_the_forest(table: Callable[..., Measurements]) -> None:
    rows = compare_readers(table("a", "b")).table("score_subgroups")
    assert {row: cells["a vs b"].n for row, cells in rows.items()} == {
        "liver:total": 8,
        "liver:fatty": 2,
        "liver:cld": 6,
    }
    assert rows["liver:fatty"]["a vs b"].values["ci_lower"] is None  # of two differences there is no interval
    # the median of the Walsh averages of .012 and 0
    assert rows["liver:fatty"]["a vs b"].values["hodges_lehmann"] == pytest.approx(0.006)


def test_tables_of_one_reader_each_are_one_table(table: Callable[..., Measurements]) -> None:
    apart = merge_measurements([table("a"), table("b"), table("c")])
    assert compare_readers(apart).cells == compare_readers(table("a", "b", "c")).cells


def test_facts_of_a_case_are_merged_from_both_tables(table: Callable[..., Measurements]) -> None:
    bare = table("a", facts={"condition": ""})
    complete = table("b", facts={"patient_id": "p1", "dataset": "test1"})
    merged = merge_measurements([bare, complete]).table
    assert set(merged["patient_id"]) == {"p1"}
    assert set(merged["condition"]) == {"cld", "fatty"}
    assert set(merged["dataset"]) == {"test1"}


def test_one_name_for_two_readers_and_contradicting_facts_are_rejected(
    table: Callable[..., Measurements], tmp_path: Path
) -> None:
    first = table("a")
    changed = tmp_path / "changed.csv"
    changed.write_text(Path(str(first.source)).read_text().replace("1485", "1484"))
    with pytest.raises(
        InputError, match=r"LS-CMP-001 case 'k0'.*reader 'a', column 'volume_cm3': 1484 differs from 1485"
    ):
        merge_measurements([first, read_measurements(changed)])
    with pytest.raises(
        InputError, match=r"LS-CMP-002 6 cases, first 'k0'.*column 'condition': 'fatty' differs from 'cld'"
    ):
        merge_measurements([first, table("b", facts={"condition": "fatty"})])


@pytest.mark.parametrize(
    ("readers", "asked", "code"),
    [
        ("a", {}, "LS-CMP-003"),
        ("ab", {"readers": ["a", "z"]}, "LS-CMP-004.*'z'; the readers are 'a', 'b', 'manual'"),
        ("ab", {"reference": "z"}, "LS-CMP-004"),
        ("ab", {"readers": ["a", "manual"]}, "LS-CMP-004.*both a reader and the reference"),
        ("ab", {"datasets": ["test2"]}, "LS-CMP-006.*no dataset 'test2'"),
        ("ab", {"datasets": ["", "test2"]}, "LS-CMP-006.*no dataset 'test2'; the datasets are ''"),
    ],
)
def test_comparisons_without_data_are_rejected(
    table: Callable[..., Measurements], readers: str, asked: dict[str, object], code: str
) -> None:
    with pytest.raises(InputError, match=code):
        compare_readers(table(*readers), **asked)  # type: ignore[arg-type]


def test_the_folder_is_reproducible_and_contains_no_earlier_files(
    table: Callable[..., Measurements], tmp_path: Path
) -> None:
    three, two = table("a", "b", "c"), table("a", "b")
    output = tmp_path / "out"
    files = write_comparison(compare_readers(three), output, sources=[three])
    assert {"figures/forest_3.svg", "figures/forest_3.pdf", "figures/forest_3.png", "tables/limits.tex"} <= set(files)
    first = {name: (output / name).read_bytes() for name in files}
    write_comparison(compare_readers(three), output, sources=[three])
    assert {name: (output / name).read_bytes() for name in files} == first
    write_comparison(compare_readers(two), output, sources=[two])
    assert sorted(path.name for path in (output / "figures").iterdir()) == [
        f"forest_1.{f}" for f in ("pdf", "png", "svg")
    ]
    content = json.loads((output / "compare.json").read_text(encoding="utf-8"))
    assert content["compared"]["liver DSS"] == {"n": 8, "cases": [f"k{case}" for case in range(8)]}
    assert content["measurements"][0]["sha256"] == two.sha256
    assert content["figures"] == {"forest_1": "a vs b"}
    assert "0.0090 (0.0010 to 0.0155)" in (output / "tables/score_differences.csv").read_text(encoding="utf-8")
    page = (output / "compare.html").read_text(encoding="utf-8")
    assert page.count('<tr id="case-') == 8
    assert "0.0090 (0.0010 to 0.0155)" in page.split("<nav")[0]  # the main result is first
    assert page.count("<figure") == 1
    assert not re.search(r"https?://|@import|url\((?!#)", page)
