"""Which of several eligible series of a study is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_files import box_exam

from liverspleen.cohort.layouts.choice import choose
from liverspleen.imaging.dicom import Series, find_series, write_series

Row = dict[str, str]


def series(number: int, phase: str = "", slices: int = 40) -> Series:
    return Series(
        files=(Path(f"{number}.dcm"),),
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
    )


def taken(*eligible: Series, rows: tuple[Row, ...] = (), folder: str = "") -> list[int]:
    choice = choose({item: folder or item.folder for item in eligible}, rows)
    assert choice.why
    return [int(item.description.split()[0]) for item in choice.taken]


def row(source: str = "", patient: str = "", series: str = "", phase: str = "") -> Row:
    return {"source": source, "patient": patient, "series": series, "phase": phase}


@pytest.mark.parametrize("phase", ["", "arterial", "portal_venous", "non_contrast"])
def test_a_single_series_is_taken_whatever_its_phase(phase: str) -> None:
    assert taken(series(1, phase)) == [1]


def test_none_is_taken_of_none() -> None:
    assert taken() == []


def test_the_covariates_go_before_the_header() -> None:
    pair = series(1, "arterial"), series(2, "portal_venous")
    assert taken(*pair, rows=(row(patient="P", series="1"),)) == [1]
    assert taken(*pair, rows=(row(patient="P", series="1.2.1"),)) == [1]
    assert taken(*pair, rows=(row(source="study/1"),)) == [1]
    assert taken(*pair, rows=(row(patient="Q", series="1"),)) == [2]
    assert taken(*pair, rows=(row(patient="P", series="1"), row(patient="P", series="2"))) == [1, 2]


@pytest.mark.parametrize("written", ["portal_venous", "portal venous", "Portal-venous"])
def test_of_series_in_the_manifest_the_portal_venous_one_is_taken(written: str) -> None:
    rows = row(source="study/1", phase=written), row(source="study/2", phase="arterial")
    assert taken(series(1), series(2), rows=rows) == [1]
    assert taken(series(1), series(2), rows=(row(source="study/1"), row(source="study/2"))) == [1, 2]


def test_a_folder_that_several_series_share_names_none_of_them() -> None:
    pair = series(1), series(2)
    assert taken(*pair, rows=(row(source="study"),), folder="study") == []
    assert taken(*pair, rows=(row(source="study", series="2"),), folder="study") == [2]


def test_reconstructions_of_one_stated_phase_are_told_apart_by_their_slices() -> None:
    assert taken(series(1, "portal_venous", 40), series(2, "portal_venous", 200), series(3, "arterial", 400)) == [2]
    assert taken(series(1, "delayed", 40), series(2, "delayed", 200)) == [2]
    assert taken(series(1, "portal_venous"), series(2, "portal_venous")) == []


def test_nobody_chooses_among_unknown_or_different_phases() -> None:
    assert taken(series(1, "", 40), series(2, "", 200)) == []
    assert taken(series(1, "arterial"), series(2, "delayed")) == []
    choice = choose({series(1, "arterial"): "a", series(2, "", 200): "b"}, ())
    assert "200 slices, phase unknown" in choice.why
    assert "40 slices, phase arterial" in choice.why


def test_a_description_is_not_taken_for_a_number(tmp_path: Path) -> None:
    for uid in (1, 2):
        tags = {"SeriesNumber": None, "SeriesDescription": "5 mm axial", "SeriesInstanceUID": f"1.2.{uid}"}
        write_series(tmp_path / str(uid), box_exam("a", seed=uid).ct, tags={"StudyInstanceUID": "1.9", **tags})
    folders = {series: series.folder for series in find_series(tmp_path)}
    assert len(choose(folders, (row(series="1.2.2", source="2"),)).taken) == 1
    assert choose(folders, (row(series="5", source="2"),)).taken == ()
