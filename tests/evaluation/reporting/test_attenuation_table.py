"""Table of the attenuation: values by hand, undefined values with their reasons, phases, tables without the columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from liverspleen.cohort.manifest import read_cohort
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.reporting.paper_tables import StatisticalReport, statistical_report
from liverspleen.evaluation.reporting.table_layout import layouts

HEADER = "case_id,patient_id,image,dataset,condition,phase\n"
ROWS = "A,A,a.nii,test1,healthy,unenhanced\nB,B,b.nii,test1,fatty,unenhanced\nC,C,c.nii,test1,fatty,portal venous\n"
ROWS += "D,D,d.nii,test1,healthy,\n"
CONDITIONS = {"A": "healthy", "B": "fatty", "C": "fatty", "D": "healthy"}

Found = tuple[float | None, str]
MEASURED: dict[str, tuple[Found, Found]] = {
    "A": ((60.0, "ok"), (50.0, "ok")),
    "B": ((30.0, "ok"), (40.0, "ok")),
    "C": ((110.0, "clipped"), (None, "small_core")),
    "D": ((-5.0, "ok"), (-2.0, "ok")),
}


def rows(reader: str, found: dict[str, tuple[Found, Found]], *, core_mm: float = 5.0) -> list[Measurement]:
    return [
        Measurement(
            *(case, case, "test1", CONDITIONS[case], "", organ, reader, volume),
            hu_mean=mean,
            hu_core_mm=core_mm if status else None,
            hu_status=status,
        )
        for case, both in found.items()
        for organ, volume, (mean, status) in zip(("liver", "spleen"), (1500.0, 200.0), both, strict=True)
    ]


def report_of(folder: Path, measured: list[Measurement], *, phases: bool = True) -> StatisticalReport:
    write_measurements(folder / "m.csv", measured)
    (folder / "cohort.csv").write_text(HEADER + ROWS)
    cohort = read_cohort(folder / "cohort.csv") if phases else None
    return statistical_report(read_measurements(folder / "m.csv"), cohort=cohort)


def shifted(by: float) -> dict[str, tuple[Found, Found]]:
    return {
        case: tuple((None if mean is None else mean + by, status) for mean, status in both)  # type: ignore[misc]
        for case, both in MEASURED.items()
    }


def test_values_of_both_readers_by_condition_and_phase(tmp_path: Path) -> None:
    report = report_of(tmp_path, rows("manual", MEASURED) + rows("dla", shifted(2.0)))
    table = report.table("attenuation")
    liver = table["liver_hu:total"]["manual"]
    assert (liver.values["mean"], liver.n, liver.units) == ((60 + 30 + 110 - 5) / 4, 4, "HU")
    assert liver.values["minimum"] == -5.0
    assert table["liver_hu:fatty"]["dla"].values["mean"] == (32 + 112) / 2
    difference = table["hu_difference:total"]["manual"]
    assert (difference.values["mean"], difference.n, difference.excluded) == ((10 - 10 - 3) / 3, 3, ("C",))
    ratio = table["hu_ratio:total"]["manual"]
    assert ratio.n == 2
    assert ratio.values["mean"] == pytest.approx((60 / 50 + 30 / 40) / 2)
    assert ratio.excluded == ("C", "D")
    assert ratio.text == "0.98 ± 0.32 (0.75–1.20)"
    # the spleen of D is at 0 HU in this reader
    assert table["hu_ratio:total"]["dla"].rows == ("A", "B")
    assert table["liver_hu:phase unenhanced"]["manual"].rows == ("A", "B")
    assert table["liver_hu:phase portal venous"]["manual"].values["mean"] == 110.0
    assert table["liver_hu:phase not stated"]["manual"].rows == ("D",)
    undefined = table["spleen_hu:phase portal venous"]["manual"]
    assert (undefined.text, undefined.reason) == ("–", "no defined values; the core is below 1 cm³ (n = 1)")


def test_notes_say_what_is_undefined_and_what_is_clipped(tmp_path: Path) -> None:
    report = report_of(tmp_path, rows("manual", MEASURED) + rows("dla", {**MEASURED, "A": ((None, ""), (50.0, "ok"))}))
    notes = [
        (note.code, note.message, note.cases) for note in report.notes if note.code in ("LS-REP-067", "LS-REP-068")
    ]
    small = "spleen attenuation by {!r} is undefined in 1 of 4 CT scans: the core is below 1 cm³"
    ratio = "attenuation ratio by {!r} is undefined in 1 of 4 CT scans: the mean of the spleen is not above 0 HU"
    without = "liver attenuation by 'dla' is undefined in 1 of 4 CT scans: measured without the CT"
    assert ("LS-REP-067", small.format("manual"), ("C",)) in notes
    assert ("LS-REP-067", ratio.format("manual"), ("D",)) in notes
    assert ("LS-REP-067", without, ("A",)) in notes
    clipped = [note for note in notes if note[0] == "LS-REP-068"]
    assert [(message.split(" is of a clipped CT in ")[0], cases) for _, message, cases in clipped] == [
        ("liver attenuation by 'dla'", ("C",)),
        ("liver attenuation by 'manual'", ("C",)),
    ]
    assert len(notes) == 7


def test_the_caption_limits_the_thresholds_of_fatty_liver_to_unenhanced_ct(tmp_path: Path) -> None:
    report = report_of(tmp_path, rows("manual", MEASURED) + rows("dla", MEASURED))
    (layout,) = (layout for layout in layouts(report) if layout.name == "attenuation")
    assert "Thresholds of fatty liver are defined for unenhanced CT" in layout.footnote
    labels = {row: label for row, label, _ in layout.rows}
    assert labels["hu_difference:fatty"] == "Liver minus spleen attenuation (HU): Fatty liver disease"
    assert labels["hu_ratio:total"] == "Liver/spleen attenuation ratio: Total"
    assert labels["spleen_hu:phase portal venous"] == "Spleen attenuation (HU): phase portal venous"


def test_one_reader_without_a_reference_has_the_table(tmp_path: Path) -> None:
    report = report_of(tmp_path, rows("dla", MEASURED), phases=False)
    table = report.table("attenuation")
    assert [*table["liver_hu:total"]] == ["dla"]
    assert not [row for row in table if "phase" in row]


def test_a_table_without_the_columns_has_no_table_and_no_note(tmp_path: Path) -> None:
    bare: dict[str, tuple[Found, Found]] = dict.fromkeys(MEASURED, ((None, ""), (None, "")))
    report = report_of(tmp_path, rows("manual", bare) + rows("dla", bare))
    assert "hu_mean" not in (tmp_path / "m.csv").read_text()
    assert not report.table("attenuation")
    assert not {"LS-REP-067", "LS-REP-068", "LS-REP-069"} & {note.code for note in report.notes}
    assert "attenuation" not in "".join(note.message for note in report.notes)


def test_only_readers_with_the_columns_have_one(tmp_path: Path) -> None:
    bare: dict[str, tuple[Found, Found]] = dict.fromkeys(MEASURED, ((None, ""), (None, "")))
    report = report_of(tmp_path, rows("manual", bare) + rows("dla", MEASURED))
    assert [*report.table("attenuation")["liver_hu:total"]] == ["dla"]


def test_cores_of_several_distances_are_not_pooled(tmp_path: Path) -> None:
    report = report_of(tmp_path, rows("manual", MEASURED, core_mm=3.0) + rows("dla", MEASURED))
    assert not report.table("attenuation")
    (note,) = (note for note in report.notes if note.code == "LS-REP-069")
    assert note.message == "the attenuation is not included: the cores have 2 distances (3, 5 mm)"
