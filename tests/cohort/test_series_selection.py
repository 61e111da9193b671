"""Selection among several eligible series of a study."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_files import box_exam

from liverspleen.cohort.layouts.series_selection import select_series
from liverspleen.imaging.dicom import Series, find_series, write_series

Row = dict[str, str]


def series(number: int, phase: str = "", slices: int = 40, derived: bool = False) -> Series:
    return Series(
        files=(Path(f"{number}.dcm"),),
        places=((0, None),),
        series_uid=f"1.2.{number}",
        study_uid="1.2",
        patient_id="P",
        slices=slices,
        rows=512,
        columns=512,
        geometry=None,
        slice_thickness_mm=None,
        phase=phase,
        sex="",
        age=None,
        exclusions=(),
        warnings=(),
        description=f"{number} something",
        folder=f"study/{number}",
        derived=derived,
    )


def selected(*eligible: Series, rows: tuple[Row, ...] = (), folder: str = "") -> list[int]:
    selection = select_series({item: folder or item.folder for item in eligible}, rows)
    assert selection.reason
    return [int(item.description.split()[0]) for item in selection.selected]


def row(source: str = "", patient: str = "", series: str = "", phase: str = "") -> Row:
    return {"source": source, "patient": patient, "series": series, "phase": phase}


@pytest.mark.parametrize("phase", ["", "arterial", "portal_venous", "non_contrast"])
def test_a_single_series_is_selected_with_any_phase(phase: str) -> None:
    assert selected(series(1, phase)) == [1]


def test_no_series_is_selected_from_none() -> None:
    assert selected() == []


def test_covariates_have_priority_over_the_header() -> None:
    pair = series(1, "arterial"), series(2, "portal_venous")
    assert selected(*pair, rows=(row(patient="P", series="1"),)) == [1]
    assert selected(*pair, rows=(row(patient="P", series="1.2.1"),)) == [1]
    assert selected(*pair, rows=(row(source="study/1"),)) == [1]
    assert selected(*pair, rows=(row(patient="Q", series="1"),)) == [2]
    assert selected(*pair, rows=(row(patient="P", series="1"), row(patient="P", series="2"))) == [1, 2]


@pytest.mark.parametrize("written", ["portal_venous", "portal venous", "Portal-venous"])
def test_the_portal_venous_series_of_the_covariates_is_selected(written: str) -> None:
    rows = row(source="study/1", phase=written), row(source="study/2", phase="arterial")
    assert selected(series(1), series(2), rows=rows) == [1]
    assert selected(series(1), series(2), rows=(row(source="study/1"), row(source="study/2"))) == [1, 2]


def test_a_folder_with_several_series_selects_none_of_them() -> None:
    pair = series(1), series(2)
    assert selected(*pair, rows=(row(source="study"),), folder="study") == []
    assert selected(*pair, rows=(row(source="study", series="2"),), folder="study") == [2]


def test_of_reconstructions_of_one_phase_the_one_with_the_most_slices_is_selected() -> None:
    assert selected(series(1, "portal_venous", 40), series(2, "portal_venous", 200), series(3, "arterial", 400)) == [2]
    assert selected(series(1, "delayed", 40), series(2, "delayed", 200)) == [2]
    assert selected(series(1, "portal_venous"), series(2, "portal_venous")) == []


def test_no_series_is_selected_among_unknown_or_different_phases() -> None:
    assert selected(series(1, "", 40), series(2, "", 200)) == []
    assert selected(series(1, "arterial"), series(2, "delayed")) == []
    selection = select_series({series(1, "arterial"): "a", series(2, "", 200): "b"}, ())
    assert "200 slices, phase unknown" in selection.reason
    assert "40 slices, phase arterial" in selection.reason


def test_a_derived_series_is_selected_alone_or_if_it_is_given() -> None:
    derived, original = series(1, "portal_venous", derived=True), series(2)
    assert selected(derived) == [1]
    assert selected(derived, original) == [2]
    assert selected(derived, original, rows=(row(source="study/1"),)) == [2]
    assert selected(derived, original, rows=(row(patient="P", series="1"),)) == [1]
    assert selected(derived, series(3, "arterial", derived=True)) == [1]


def test_a_description_is_not_read_as_a_number(tmp_path: Path) -> None:
    for uid in (1, 2):
        tags = {"SeriesNumber": None, "SeriesDescription": "5 mm axial", "SeriesInstanceUID": f"1.2.{uid}"}
        write_series(tmp_path / str(uid), box_exam("a", seed=uid).ct, tags={"StudyInstanceUID": "1.9", **tags})
    folders = {series: series.folder for series in find_series(tmp_path)}
    assert len(select_series(folders, (row(series="1.2.2", source="2"),)).selected) == 1
    assert select_series(folders, (row(series="5", source="2"),)).selected == ()
