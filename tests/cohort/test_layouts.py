"""Cases and exclusions of each layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import source_files
from PIL import Image
from source_files import box_exam

from liverspleen.cohort.layouts import Found, Meaning, Request, find_cases
from liverspleen.cohort.layouts.description import read_description
from liverspleen.errors import InputError
from liverspleen.imaging import LabelMap, write_ct, write_label_map
from liverspleen.imaging.png import read_masks
from liverspleen.organs import Structure

OWN, NAMES = Meaning(), Meaning(by_name=True)


def find(layout: str, folder: Path, meaning: Meaning | None = OWN, labels: Path | None = None) -> Found:
    return find_cases(layout, Request(folder, labels, meaning))


def described(folder: Path, **content: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "background", "1": "Liver", "2": "cancer", "3": "spleen"},
        {"background": 0, "liver": 1, "tumour": 2, "spleen": 3},
        {"background": 0, "liver": [1], "spleen": [3]},
    ],
)
def test_both_forms_of_labels_are_read(tmp_path: Path, labels: dict[str, object]) -> None:
    names = read_description(described(tmp_path, labels=labels, modality={"0": "CT"})).names.organs
    assert names == {1: Structure.LIVER, 3: Structure.SPLEEN}


def test_regions_of_nnunet_may_hold_several_values(tmp_path: Path) -> None:
    names = read_description(described(tmp_path, labels={"liver": [1, 2], "tumour": 2})).names.organs
    assert names == {1: Structure.LIVER, 2: Structure.LIVER}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"channel_names": {"0": "CT", "1": "PET"}}, "LS-IMP-008"),
        ({"modality": ["CT"]}, "LS-IMP-010"),
        ({"labels": ["liver"]}, "LS-IMP-010"),
        ({"labels": {"liver": "one"}}, "LS-IMP-010"),
        ({"labels": {"liver": [1, 2], "spleen": [2]}}, "LS-IMP-010"),
    ],
)
def test_invalid_descriptions_are_rejected(tmp_path: Path, content: dict, code: str) -> None:
    with pytest.raises(InputError, match=code):
        read_description(described(tmp_path, **content))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_description_that_is_not_an_object_is_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match="LS-IMP-010"):
        read_description(tmp_path)


def test_a_channel_of_another_name_is_a_warning(tmp_path: Path) -> None:
    (note,) = read_description(described(tmp_path, channel_names={"0": "T1"})).notes
    assert (note.code, note.severity) == ("LS-IMP-009", "warning")


def test_msd_cases_are_those_listed_inside_the_task(tmp_path: Path) -> None:
    inside = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}
    outside = {"image": "../a.nii.gz", "label": "./labelsTr/a.nii.gz"}
    folder = described(
        tmp_path / "task", labels={"1": "liver"}, training=[inside, outside, {"image": 3}], test=["./imagesTs/t.nii.gz"]
    )
    found = find("msd", folder, NAMES)
    assert [(case.name, case.facts["dataset"], case.labels is None) for case in found.cases] == [
        ("a", "development", False),
        ("t", "test", True),
    ]
    assert [item.issue.code for item in found.excluded] == ["LS-IMP-012", "LS-IMP-012"]
    assert found.cases[0].labels is not None
    assert found.cases[0].labels.covered == (Structure.LIVER,)


def test_label_names_of_a_source_without_names_are_rejected(tmp_path: Path) -> None:
    source_files.nifti(tmp_path, [box_exam("a")])
    with pytest.raises(InputError, match="LS-IMP-004"):
        find("nifti", tmp_path, NAMES, tmp_path / "masks")
    described(tmp_path, labels={"1": "kidney"}, training=[{"image": "./a.nii", "label": "./b.nii"}])
    with pytest.raises(InputError, match="LS-IMP-004"):
        find("msd", tmp_path, NAMES)


@pytest.mark.parametrize("meaning", [None, NAMES])
def test_dataset_json_beside_the_labels_of_nifti_gives_their_meaning(tmp_path: Path, meaning: Meaning | None) -> None:
    source_files.nifti(tmp_path, [box_exam("a")])
    described(tmp_path / "masks", labels={"background": 0, "spleen": 1})
    found = find("nifti", tmp_path, meaning, tmp_path / "masks")
    assert found.cases[0].labels is not None
    assert (found.cases[0].labels.covered, found.notes) == ((Structure.SPLEEN,), ())


def test_label_values_that_contradict_dataset_json_are_used_with_a_warning(tmp_path: Path) -> None:
    source_files.nifti(tmp_path, [box_exam("a")])
    described(tmp_path / "masks", labels={"background": 0, "spleen": 1})
    found = find("nifti", tmp_path, Meaning({1: Structure.LIVER}), tmp_path / "masks")
    assert found.cases[0].labels is not None
    assert found.cases[0].labels.covered == (Structure.LIVER,)
    assert [note.code for note in found.notes] == ["LS-LAB-050"]


def test_nnunet_excludes_cases_with_several_channels_and_files_without_channel(tmp_path: Path) -> None:
    source_files.nnunet(tmp_path, [box_exam(name) for name in "ab"])
    for name in ("b_0001", "c"):
        write_ct(tmp_path / "imagesTr" / f"{name}.nii.gz", box_exam("x").ct)
    found = find("nnunet", tmp_path, NAMES)
    assert [case.name for case in found.cases] == ["a"]
    assert {(item.name, item.issue.code) for item in found.excluded} == {("b", "LS-IMP-008"), ("c", "LS-IMP-034")}


def test_nnunet_training_cases_need_labels(tmp_path: Path) -> None:
    source_files.nnunet(tmp_path, [box_exam(name) for name in "ab"])
    (tmp_path / "labelsTr" / "b.nii.gz").rename(tmp_path / "labelsTr" / "z.nii.gz")
    found = find("nnunet", tmp_path, NAMES)
    assert [(item.name, item.issue.code) for item in found.excluded] == [("b", "LS-IMP-005")]
    assert [note.code for note in found.notes] == ["LS-IMP-006"]


def test_nifti_files_with_the_same_name_and_labels_without_ct_are_reported(tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz", "b.nii.gz", "c.nii.gz", "._b.nii.gz"):
        write_ct(tmp_path / "ct" / name, box_exam("x").ct)
    for name in "cz":
        write_label_map(tmp_path / "masks" / f"{name}.nii.gz", box_exam("x").label)
    found = find("nifti", tmp_path / "ct", OWN, tmp_path / "masks")
    assert [case.name for case in found.cases] == ["b", "c"]
    assert [item.issue.code for item in found.excluded] == ["LS-IMP-007"]
    assert [(note.code, note.severity) for note in found.notes] == [("LS-IMP-006", "error"), ("LS-IMP-005", "warning")]


def test_a_single_ct_may_have_a_single_label_file(tmp_path: Path) -> None:
    write_ct(tmp_path / "scan.nii.gz", box_exam("x").ct)
    write_label_map(tmp_path / "labels.nii.gz", box_exam("x").label)
    (case,) = find("nifti", tmp_path / "scan.nii.gz", OWN, tmp_path / "labels.nii.gz").cases
    assert case.labels is not None
    assert case.labels.files == (tmp_path / "labels.nii.gz",)


@pytest.mark.parametrize("layout", ["nifti", "totalsegmentator", "chaos", "dicom"])
def test_an_empty_folder_is_rejected(layout: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-IMP-002"):
        find(layout, tmp_path, None)


def test_totalsegmentator_masks_are_binary_disjoint_and_named_by_their_files(tmp_path: Path) -> None:
    exam = box_exam("x")
    source_files.totalsegmentator(tmp_path, [box_exam(name) for name in ("good", "values", "overlap", "part")])
    liver = tmp_path / "values" / "segmentations" / "liver.nii.gz"
    write_label_map(liver, exam.label)
    everywhere = LabelMap(np.ones_like(exam.label.labels), exam.label.geometry)
    write_label_map(tmp_path / "overlap" / "segmentations" / "spleen.nii.gz", everywhere)
    (tmp_path / "part" / "segmentations" / "spleen.nii.gz").unlink()
    (tmp_path / "none").mkdir()
    found = find("totalsegmentator", tmp_path, None)
    assert [(item.name, item.issue.code) for item in found.excluded] == [("none", "LS-IMP-029")]
    cases = {case.name: case for case in found.cases}
    outcomes: dict[str, object] = {}
    for name, case in cases.items():
        assert case.labels is not None
        try:
            outcomes[name] = case.labels.read("id", exam.ct).covered
        except InputError as rejected:
            outcomes[name] = rejected.issues[0].code
    both = (Structure.LIVER, Structure.SPLEEN)
    assert outcomes == {"good": both, "values": "LS-IMP-027", "overlap": "LS-IMP-023", "part": (Structure.LIVER,)}
    with pytest.raises(InputError, match="LS-LAB-024"):
        find("totalsegmentator", tmp_path, OWN)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "I;16"])
def test_masks_are_gray_pngs_of_their_slice(tmp_path: Path, mode: str) -> None:
    array = np.zeros((4, 6), np.uint8)
    array[1, 2] = 255
    image = Image.fromarray(array.astype(np.uint16)) if mode == "I;16" else Image.fromarray(array).convert(mode)
    image.save(tmp_path / "a.png")
    if mode in {"1", "L"}:
        np.testing.assert_array_equal(read_masks([tmp_path / "a.png"], rows=4, columns=6, case_id="x"), array[None])
        with pytest.raises(InputError, match=r"LS-IMG-021.*4 x 6"):
            read_masks([tmp_path / "a.png"], rows=6, columns=4, case_id="x")
    else:
        with pytest.raises(InputError, match="LS-IMG-021"):
            read_masks([tmp_path / "a.png"], rows=4, columns=6, case_id="x")
