"""Cases and exclusions of each layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
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


def touched(folder: Path, *names: str) -> Path:
    """A folder with empty files: pairing uses only names."""
    for name in names:
        file = folder / f"{name}.nii.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def labels_of(found: Found) -> dict[str, str | None]:
    return {case.name: case.labels and case.labels.files[0].name.removesuffix(".nii.gz") for case in found.cases}


@pytest.mark.parametrize("given", ["", "labels", "input"])
@pytest.mark.parametrize(
    ("names", "images", "labels", "expected"),
    [
        (["images/c_0000", "labels/c"], "images", "labels", {"c": "c"}),
        (["img/img0001", "label/label0001"], "img", "label", {"img0001": "label0001"}),
        (["imagesTr/v-1", "labelsTr/s"], "imagesTr", "labelsTr", None),
        (["p1/ct", "p1/segmentation", "p2/ct"], "", "", {"p1": "segmentation", "p2": None}),
        (["volume-1", "segmentation-1", "volume-2"], "", "", {"volume-1": "segmentation-1", "volume-2": None}),
    ],
)
def test_nifti_pairs_label_maps_of_the_input_and_of_their_own_folder(
    names: list[str], images: str, labels: str, expected: dict[str, str | None] | None, given: str, tmp_path: Path
) -> None:
    folder = touched(tmp_path, *names)
    source = folder / images if given == "labels" else folder
    path = None if not given else folder / labels if given == "labels" else folder
    if expected is None:
        with pytest.raises(InputError, match="LS-IMP-040"):
            find("nifti", source, OWN, path)
    else:
        assert labels_of(find("nifti", source, OWN, path)) == expected


def test_nifti_test_images_are_of_the_test_set_and_take_their_own_label_maps(tmp_path: Path) -> None:
    folder = touched(tmp_path, "imagesTr/a_0000", "imagesTs/b_0000", "labelsTr/a", "labelsTs/b", "labelsTr/b")
    found = find("nifti", folder)
    assert {case.name: (case.facts, case.labels and case.labels.files) for case in found.cases} == {
        "a": ({}, (folder / "labelsTr/a.nii.gz",)),
        "b": ({"dataset": "test"}, (folder / "labelsTs/b.nii.gz",)),
    }
    assert [(note.code, note.file) for note in found.notes] == [("LS-IMP-006", folder / "labelsTr/b.nii.gz")]


def test_nifti_without_any_used_label_map_is_rejected_with_examples(tmp_path: Path) -> None:
    touched(tmp_path / "ct", *"abcde")
    touched(tmp_path / "maps", *"vwxyz")
    with pytest.raises(InputError, match=r"LS-IMP-040.*5 label maps given, but no CT has one") as caught:
        find("nifti", tmp_path / "ct", OWN, tmp_path / "maps")
    (issue,) = caught.value.issues
    assert [issue.file, *issue.further_files] == [tmp_path / "maps" / f"{name}.nii.gz" for name in "vwx"]
    with pytest.raises(InputError, match="LS-IMP-040: label_values= is given, but the input has no label map"):
        find("nifti", tmp_path / "ct")


def test_nifti_with_two_label_maps_of_one_ct_excludes_the_case_and_lists_them(tmp_path: Path) -> None:
    folder = touched(tmp_path, "a", "a_seg", "a_mask", "b", "b_seg", "c_0000", "c_0001")
    found = find("nifti", folder)
    assert labels_of(found) == {"b": "b_seg"}
    assert {item.name: item.issue.code for item in found.excluded} == {
        "a": "LS-IMP-007",
        "c_0000": "LS-IMP-008",
        "c_0001": "LS-IMP-008",
    }
    listed = found.excluded[0].issue
    assert {Path(file).name for file in (listed.file or "", *listed.further_files)} == {
        f"{name}.nii.gz" for name in ("a", "a_seg", "a_mask")
    }


def test_nifti_without_label_values_lists_the_label_maps_that_are_not_read(tmp_path: Path) -> None:
    found = find("nifti", touched(tmp_path, "img/a", "label/a"), None)
    assert labels_of(found) == {"a": None}
    assert [(note.code, note.severity) for note in found.notes] == [("LS-IMP-026", "warning")]


def test_several_ct_in_one_folder_are_of_one_patient(tmp_path: Path) -> None:
    found = find("nifti", touched(tmp_path, "p1/portal", "p1/late", "p2/portal", "p1/late_seg"))
    assert [(case.name, case.patient) for case in found.cases] == [
        ("p1/late", "p1"),
        ("p1/portal", "p1"),
        ("p2", "p2"),
    ]
    assert {note.code for note in found.notes} == {"LS-IMP-005", "LS-IMP-045"}


def table_of_pairs(folder: Path, *rows: str) -> Path:
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")
    return folder / "pairs.csv"


def test_a_table_of_pairs_replaces_names(tmp_path: Path) -> None:
    folder = touched(tmp_path / "in", "x/a", "y/q", "b")
    rows = ["label,image,case_id,patient_id", "y/q.nii.gz,x/a.nii.gz,one,P", ",b.nii.gz,,"]
    for place in (folder, tmp_path):
        found = find_cases("nifti", Request(folder, meaning=OWN, pairs=table_of_pairs(place, *rows)))
        assert labels_of(found) == {"one": "q", "b": None}
        assert [case.patient for case in found.cases] == ["P", "b"]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "LS-IMP-042"),
        (["image,mask", "a.nii.gz,b.nii.gz"], "LS-IMP-042"),
        (["image,label"], "LS-IMP-042"),
        (["image,label", "a.nii.gz,lost.nii.gz"], "LS-IMP-043"),
        (["image,label", "../in/../out.nii.gz,b.nii.gz"], "LS-IMP-043"),
        (["image,label", ",b.nii.gz"], "LS-IMP-043"),
        (["image,label", "a.nii.gz,b.nii.gz", "c.nii.gz,b.nii.gz"], "LS-IMP-043"),
        (["image,label", "a.nii.gz,a.nii.gz"], "LS-IMP-043"),
        (["image,label", "a.nii.gz,b.nii.gz,c"], "LS-IMP-043"),
        (["image,label,case_id", "a.nii.gz,,x", "c.nii.gz,b.nii.gz,x"], "LS-IMP-043"),
    ],
)
def test_each_row_of_a_table_of_pairs_must_be_usable(rows: list[str], code: str, tmp_path: Path) -> None:
    folder = touched(tmp_path / "in", *"abc")
    touched(tmp_path, "out")
    with pytest.raises(InputError) as caught:
        find_cases("nifti", Request(folder, meaning=OWN, pairs=table_of_pairs(folder, *rows)))
    assert {issue.code for issue in caught.value.issues} == {code}
    assert "nii.gz" not in str(caught.value).replace(".nii.gz or .nii", "")


@pytest.mark.parametrize("layout", ["nifti", "dicom"])
def test_files_that_are_not_read_are_listed(layout: str, tmp_path: Path) -> None:
    if layout == "dicom":
        source_files.dicom(tmp_path, [box_exam("a")])
    else:
        touched(tmp_path, "a", "deep/b")
    for name in ("x.mgz", "y.mat", "z.tar.gz", "plan.dcm", "README", "notes.txt", ".DS_Store"):
        (tmp_path / name).write_bytes(bytes(200))
    found = find(layout, tmp_path, None)
    messages = [note.message for note in found.notes if note.code == "LS-COH-040"]
    archives = ["1 archive (.tar.gz) is not read", "2 files of other image formats (.mat, .mgz) are not read"]
    nifti = ["1 NIfTI file is not read", "1 DICOM file is not read", *archives]
    assert messages == (nifti if layout == "nifti" else [*archives, "1 file of unknown type is not read"])


def test_series_that_are_no_ct_are_one_line_for_each_modality(tmp_path: Path) -> None:
    source_files.dicom(tmp_path, [box_exam("a")])
    slices = sorted((tmp_path / "a").rglob("0*.dcm"))
    for number, modality in enumerate(["RTDOSE", "RTDOSE", "MR"]):
        dataset = pydicom.dcmread(slices[number])
        dataset.Modality, dataset.SeriesInstanceUID = modality, f"1.2.3.{number}"
        dataset.save_as(tmp_path / f"other{number}.dcm")
    notes = [note for note in find("dicom", tmp_path, None).notes if note.code == "LS-IMP-046"]
    assert [(note.message, Path(note.file or "").name, len(note.further_files)) for note in notes] == [
        ("1 DICOM series without a CT is not read (modality MR)", "other2.dcm", 0),
        ("2 DICOM series without a CT are not read (modality RTDOSE)", "other0.dcm", 1),
    ]


def test_an_organ_with_two_masks_excludes_its_case(tmp_path: Path) -> None:
    source_files.totalsegmentator(tmp_path, [box_exam("a"), box_exam("b", seed=1)])
    masks = tmp_path / "a" / "segmentations"
    (masks / "liver.nii").write_bytes((masks / "liver.nii.gz").read_bytes())
    found = find("totalsegmentator", tmp_path, None)
    assert [case.name for case in found.cases] == ["b"]
    ((name, issue),) = [(item.name, item.issue) for item in found.excluded]
    assert (name, issue.code, len(issue.further_files)) == ("a", "LS-LAB-022", 1)


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
