"""Folders of images as cohorts; the files are empty, because pairing uses only names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cohort import Cohort, open_cohort, read_cohort
from liverspleen.errors import InputError
from liverspleen.organs import Structure


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A function that creates a folder with empty files of the given names."""

    def make(*names: str) -> Path:
        for name in names:
            file = tmp_path / "given" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return tmp_path / "given"

    return make


def pairs(cohort: Cohort) -> dict[str, tuple[str, str | None]]:
    def name(file: Path | None) -> str | None:
        return None if file is None else file.relative_to(cohort.root).as_posix()

    return {case.case_id: (name(case.image) or "", name(case.label)) for case in cohort.cases}


def codes(cohort: Cohort) -> list[tuple[str, str]]:
    return [(issue.code, issue.severity) for issue in cohort.issues]


def rejection(path: Path, **options: Path) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        open_cohort(path, **options)
    issue, *others = caught.value.issues
    assert {other.code for other in others} <= {"LS-COH-040"}
    return issue.code, str(issue)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["images/a.nii.gz", "images/b.nii", "labels/a.nii.gz", "labels/b.nii.gz"],
            {"a": ("images/a.nii.gz", "labels/a.nii.gz"), "b": ("images/b.nii", "labels/b.nii.gz")},
        ),
        (
            [
                "imagesTr/liver_1.nii.gz",
                "labelsTr/liver_1.nii.gz",
                "imagesTr/._liver_1.nii.gz",
            ],
            {"liver_1": ("imagesTr/liver_1.nii.gz", "labelsTr/liver_1.nii.gz")},
        ),
        (
            ["imagesTr/s1_0000.nii.gz", "labelsTr/s1.nii.gz"],
            {"s1": ("imagesTr/s1_0000.nii.gz", "labelsTr/s1.nii.gz")},
        ),
        (
            ["images/ct_0000.nii.gz", "labels/ct_0000.nii.gz"],  # numbered from 0, no channel
            {"ct_0000": ("images/ct_0000.nii.gz", "labels/ct_0000.nii.gz")},
        ),
        (
            ["x.nii.gz", "x_label.nii.gz", "y.nii", "y_label.nii", "notes.txt"],
            {"x": ("x.nii.gz", "x_label.nii.gz"), "y": ("y.nii", "y_label.nii")},
        ),
        (
            ["img/img0001.nii.gz", "img/img0010.nii.gz", "label/label0010.nii.gz", "label/label0001.nii.gz"],
            {
                "img0001": ("img/img0001.nii.gz", "label/label0001.nii.gz"),
                "img0010": ("img/img0010.nii.gz", "label/label0010.nii.gz"),
            },
        ),
        (
            ["volume-1.nii", "segmentation-1.nii", "volume-11.NII", "segmentation-11.nii"],
            {"volume-1": ("volume-1.nii", "segmentation-1.nii"), "volume-11": ("volume-11.NII", "segmentation-11.nii")},
        ),
        (
            ["p1/imaging.nii.gz", "p1/segmentation.nii.gz", "p2/ct.nii.gz", "p2/ct_mask.nii.gz"],
            {"p1": ("p1/imaging.nii.gz", "p1/segmentation.nii.gz"), "p2": ("p2/ct.nii.gz", "p2/ct_mask.nii.gz")},
        ),
    ],
)
def test_layouts_are_paired_by_name(
    names: list[str], expected: dict[str, tuple[str, str]], folder: Callable[..., Path]
) -> None:
    cohort = open_cohort(folder(*names))
    assert pairs(cohort) == expected
    assert [case.patient_id for case in cohort.cases] == [*expected]
    assert all(case.is_development for case in cohort.cases)
    assert codes(cohort) == [("LS-COH-030", "warning")]


def test_table_of_the_folder_is_written_and_reads_as_the_same_cohort(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    given, table = folder("a, b.nii.gz", "a, b_label.nii.gz"), tmp_path / "out" / "cohort.csv"
    cohort = open_cohort(given, table=table)
    read = read_cohort(table, root=given)
    assert (read.cases, read.hash) == (cohort.cases, cohort.hash)
    assert open_cohort(given).hash == cohort.hash
    assert open_cohort(given, table=table).hash == cohort.hash


def test_folder_that_changed_since_its_table_was_written_is_rejected(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    table = tmp_path / "out" / "cohort.csv"
    open_cohort(folder("a.nii.gz", "a_label.nii.gz", "b.nii.gz", "b_label.nii.gz"), table=table)
    before = table.read_text()
    given = folder("c.nii.gz", "c_label.nii.gz")
    (given / "b.nii.gz").unlink()
    (given / "b_label.nii.gz").unlink()
    code, line = rejection(given, table=table)
    assert code == "LS-COH-036"
    assert "rows added: 1, rows removed: 1" in line
    assert table.read_text() == before


def test_cohort_csv_in_the_folder_has_priority(folder: Callable[..., Path], tmp_path: Path) -> None:
    given = folder("a.nii.gz", "a_label.nii.gz")
    (given / "cohort.csv").write_text("case_id,patient_id,image\nA,P,a.nii.gz\n")
    cohort = open_cohort(given, table=tmp_path / "out.csv")
    assert pairs(cohort) == {"A": ("a.nii.gz", None)}
    assert cohort.hash == read_cohort(given / "cohort.csv").hash
    assert not (tmp_path / "out.csv").exists()


def test_ct_without_label_map_and_label_map_without_ct_are_reported(folder: Callable[..., Path]) -> None:
    cohort = open_cohort(folder("images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz", "labels/B.nii.gz"))
    assert pairs(cohort) == {"a": ("images/a.nii.gz", "labels/a.nii.gz"), "b": ("images/b.nii.gz", None)}
    assert codes(cohort) == [("LS-COH-030", "warning"), ("LS-COH-033", "warning"), ("LS-COH-034", "error")]
    assert "label maps of the same name are missing for 1 of 2 CT scans (b)" in cohort.issues[1].message
    assert cohort.issues[2].case_id == "B"


def test_a_folder_of_images_is_a_cohort_without_labels(folder: Callable[..., Path]) -> None:
    cohort = open_cohort(folder("a.nii.gz", "b.nii.gz"))
    assert pairs(cohort) == {"a": ("a.nii.gz", None), "b": ("b.nii.gz", None)}
    assert codes(cohort) == [("LS-COH-030", "warning")]


def test_two_channels_of_one_case_are_not_two_patients(folder: Callable[..., Path]) -> None:
    code, line = rejection(folder("imagesTr/s_0000.nii.gz", "imagesTr/s.nii.gz", "labelsTr/s.nii.gz"))
    assert code == "LS-COH-041"
    assert all(f"{name}.nii.gz'" in line for name in ("imagesTr/s_0000", "imagesTr/s", "labelsTr/s"))


def test_channels_of_one_case_are_not_cases_unless_each_has_a_label_map(folder: Callable[..., Path]) -> None:
    given = folder("imagesTr/s_0000.nii.gz", "imagesTr/s_0001.nii.gz", "labelsTr/s.nii.gz")
    assert rejection(given)[0] == "LS-IMP-008"
    (given / "labelsTr/s.nii.gz").rename(given / "labelsTr/s_0000.nii.gz")
    (given / "labelsTr/s_0001.nii.gz").touch()
    assert [*pairs(open_cohort(given))] == ["s_0000", "s_0001"]


def test_two_label_maps_of_a_ct_are_rejected(folder: Callable[..., Path]) -> None:
    code, line = rejection(folder("x.nii.gz", "x_seg.nii.gz", "x_mask.nii.gz", "y.nii.gz", "y_seg.nii.gz"))
    assert code == "LS-LAB-007"
    assert "x_mask.nii.gz and x_seg.nii.gz" in line


def test_several_ct_in_the_folder_of_a_case_are_of_one_patient(folder: Callable[..., Path]) -> None:
    cohort = open_cohort(folder("p1/portal.nii.gz", "p1/late.nii.gz", "p2/portal.nii.gz"))
    assert [(case.case_id, case.patient_id) for case in cohort.cases] == [
        ("p1_late", "p1"),
        ("p1_portal", "p1"),
        ("p2", "p2"),
    ]


def test_files_that_are_not_read_are_one_warning_for_each_kind(folder: Callable[..., Path]) -> None:
    given = folder("a.nii.gz", "a_seg.nii.gz", *(f"s{n}/x.nii.gz" for n in range(5)), "b.mgz", "c.MAT", "d.tar.gz")
    for name in ("README", "notes.txt", ".DS_Store", "dataset.txt", "IM1"):
        (given / name).write_bytes(bytes(128) + b"DICM" if name == "IM1" else b"text")
    skipped = [issue for issue in open_cohort(given).issues if issue.code == "LS-COH-040"]
    assert [issue.message for issue in skipped] == [
        "5 NIfTI files are not read",
        "1 DICOM file is not read",
        "1 archive (.tar.gz) is not read",
        "2 files of other image formats (.mat, .mgz) are not read",
    ]
    assert [len((issue.file, *issue.further_files)) for issue in skipped] == [3, 1, 1, 2]


def test_two_layouts_in_a_folder_are_rejected(folder: Callable[..., Path]) -> None:
    code, line = rejection(folder("images/a.nii.gz", "labels/a.nii.gz", "x.nii.gz", "x_label.nii.gz"))
    assert code == "LS-COH-032"
    assert "in images/ and in the folder itself" in line


@pytest.mark.parametrize("name", ["p1/s1/0001.dcm", "p1/s1/IM1"])
def test_hint_for_a_folder_of_dicom_is_the_import(name: str, folder: Callable[..., Path]) -> None:
    given = folder(name)
    if not name.endswith(".dcm"):
        (given / name).write_bytes(bytes(128) + b"DICM" + bytes(10))
    code, line = rejection(given)
    assert code == "LS-COH-031"
    assert f"liverspleen import source=dicom input={given}" in line


@pytest.mark.parametrize("names", [["notes.txt"], ["a/b/ct.nii.gz"], ["labels/a.nii.gz"]])
def test_folder_without_a_layout_lists_the_expected_layouts(names: list[str], folder: Callable[..., Path]) -> None:
    code, line = rejection(folder(*names))
    assert code == "LS-COH-031"
    assert "directly, in images/ or in a folder of each case" in line
    assert "DICOM" not in line


@pytest.mark.parametrize(
    ("labels", "covered"),
    [
        ({"background": 0, "liver": 1, "spleen": 2}, (Structure.LIVER, Structure.SPLEEN)),
        ({"0": "background", "1": "liver"}, (Structure.LIVER,)),
        ({"background": 0, "Spleen": 2}, (Structure.SPLEEN,)),
    ],
)
def test_dataset_json_gives_the_labelled_organs(
    labels: dict[str, object], covered: tuple[Structure, ...], folder: Callable[..., Path]
) -> None:
    given = folder("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    (given / "dataset.json").write_text(json.dumps({"labels": labels}))
    (case,) = open_cohort(given).cases
    assert case.labelled_structures == covered


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"labels": {"0": "background", "1": "spleen"}}', "1 spleen"),  # of the Decathlon: would be trained as liver
        ('{"labels": {"0": "background", "1": "liver", "2": "cancer"}}', "1 liver, 2 cancer"),
        ('{"labels": {"background": 0, "spleen": 1, "liver": 6}}', "1 spleen, 6 liver"),
        ('{"labels": {"background": 0}}', "no organ"),
        ('{"labels": {"background": 0, "organs": [1, 2]}}', "1 organs, 2 organs"),
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
    ],
)
def test_other_label_values_in_dataset_json_are_rejected(content: str, found: str, folder: Callable[..., Path]) -> None:
    given = folder("imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    (given / "dataset.json").write_text(content)
    code, line = rejection(given)
    assert code == "LS-COH-035"
    assert found in line
    assert "liverspleen import" in line


def test_links_out_of_the_folder_need_a_root_with_both(folder: Callable[..., Path], tmp_path: Path) -> None:
    given = folder("real/a.nii.gz", "real/a_label.nii.gz")
    links = tmp_path / "given" / "links"
    links.mkdir()
    for file in (given / "real").iterdir():
        (links / file.name).symlink_to(file)
    assert codes(open_cohort(links))[:2] == [("LS-COH-015", "error")] * 2
    cohort = open_cohort(links, root=given)
    assert pairs(cohort) == {"a": ("links/a.nii.gz", "links/a_label.nii.gz")}


def test_broken_link_is_a_case_that_cannot_be_read(folder: Callable[..., Path]) -> None:
    given = folder("a.nii.gz", "a_label.nii.gz", "b_label.nii.gz")
    (given / "b.nii.gz").symlink_to(given / "lost.nii.gz")
    assert [*pairs(open_cohort(given))] == ["a", "b"]


def test_name_that_is_not_utf8_excludes_only_its_case(folder: Callable[..., Path]) -> None:
    images = folder("images/a.nii.gz", "images/b.nii.gz") / "images"
    (images / "b.nii.gz").rename(images / os.fsdecode(b"b\xff.nii.gz"))
    cohort = open_cohort(images.parent)
    assert [case.case_id for case in cohort.cases] == ["a"]
    (issue,) = (issue for issue in cohort.issues if issue.severity == "error")
    assert issue.code == "LS-COH-037"
    assert "b\\udcff.nii.gz" in str(issue)


def test_predictions_of_a_model_that_knows_one_organ_label_this_organ_only(folder: Callable[..., Path]) -> None:
    given = folder("images/a.nii.gz", "images/b.nii.gz", "labels/a_dseg.nii.gz", "labels/b.nii.gz")
    (given / "labels" / "a_dseg.json").write_text('{"case_id": "a", "covered": ["liver"]}')
    found = {case.case_id: [organ.key for organ in case.labelled_structures] for case in open_cohort(given).cases}
    assert found == {"a": ["liver"], "b": ["liver", "spleen"]}
