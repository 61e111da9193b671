"""Pairs of CT scans and label maps by names: what public datasets have, and what is never paired."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverspleen.cohort.image_files import NiftiFile, case_names, nifti_file, under
from liverspleen.cohort.pairing import Pairing, pair


def files(names: Iterable[str], root: str = "images") -> list[NiftiFile]:
    found = [nifti_file(Path("data", root, f"{name}.nii.gz"), PurePath(f"{name}.nii.gz")) for name in names]
    assert None not in found
    return [file for file in found if file is not None]


def paired(images: Sequence[str], labels: Sequence[str]) -> Pairing:
    return pair(files(images), under("masks", files(labels, "masks")))


def pairs(pairing: Pairing) -> dict[str, str]:
    def name(file: NiftiFile) -> str:
        return f"{file.case}/{file.name}".strip("/")

    return {name(image): name(label) for image, label in pairing.label_of.items()}


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["Case_00001_0000", "Case_00002_0000"], ["Case_00001", "Case_00002"]),  # FLARE, AbdomenCT-1K
        (["volume-0", "volume-10"], ["segmentation-0", "segmentation-10"]),  # LiTS
        (["volume-1", "volume-01"], ["labels-1", "labels-01"]),  # CT-ORG
        (["img0001", "img0010"], ["label0001", "label0010"]),  # BTCV
        (["case_00000/imaging", "case_00001/imaging"], ["case_00000/segmentation", "case_00001/segmentation"]),  # KiTS
        (["BDMAP_1/ct", "BDMAP_2/ct"], ["BDMAP_1/combined_labels", "BDMAP_2/combined_labels"]),  # AbdomenAtlas
        (["p1/p1_CT", "p2/p2_CT"], ["p1/p1_SEG", "p2/p2_SEG"]),
        (["p1/abdomen", "p2/thorax"], ["p1/mask", "p2/mask"]),
        (["p1/ct", "p2/ct"], ["p1", "p2"]),
        (["x.1", "x.2", "x.3", "x.4", "x.5"], ["x.1_gt", "x.2-label", "x.3.seg", "x.4_ground_truth", "x.5_mask"]),
        (["a_ct_1", "a_ct_2"], ["a_seg_1", "a_seg_2"]),
        (["s_0000", "s_0001"], ["s_0000", "s_0001"]),  # numbers of cases, as each has a label map
        (["img1", "1"], ["img1", "1"]),  # equal names, although both have the key 1
    ],
)
def test_names_of_datasets_are_paired(images: list[str], labels: list[str]) -> None:
    for order in (1, -1):
        found = paired(images[::order], labels)
        assert pairs(found) == dict(zip(images, labels, strict=True))
        assert (found.unclear, found.channels, found.unused) == ((), (), ())


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["img1"], ["label10"]),
        (["img1"], ["label01"]),
        (["volume-0"], ["Case_00000"]),
        (["a"], ["b"]),
        (["Case_1"], ["case_1"]),
        (["p1/ct"], ["p2/seg"]),
        (["p1/portal", "p1/late"], ["p1/seg"]),
        (["a_0001"], ["a"]),
    ],
)
def test_other_names_are_not_paired_and_their_label_maps_are_listed(images: list[str], labels: list[str]) -> None:
    found = paired(images, labels)
    assert not found.label_of
    assert len(found.unused) == len(labels)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["a"], ["a_seg", "a_mask"]),
        (["a"], ["a", "a_seg"]),
        (["a", "a_0000"], ["a"]),
        (["ct_1", "scan_1"], ["seg_1"]),
        (["p1/imaging"], ["p1/segmentation", "p1/aggregated_seg"]),
        (["p1/ct"], ["p1/liver_mask", "p1/spleen_mask"]),
        (["p1/ct"], ["p1/seg", "p1"]),
    ],
)
def test_files_that_fit_more_than_one_are_unclear(images: list[str], labels: list[str]) -> None:
    found = paired([*images, "other"], [*labels, "other"])
    assert pairs(found) == {"other": "other"}
    ((some_images, some_labels),) = found.unclear
    assert (len(some_images), len(some_labels)) == (len(images), len(labels))


def test_channels_of_nnunet_are_not_paired() -> None:
    found = paired(["s_0000", "s_0001", "t_0000"], ["s", "t"])
    assert pairs(found) == {"t_0000": "t"}
    assert [[file.name for file in group] for group in found.channels] == [["s_0000", "s_0001"]]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["case_1_0000", "ct_0000", "b"], ["case_1", "ct_0000", "b"]),
        (["case_0000", "case_0001"], ["case_0000", "case_0001"]),
        (["p1/ct", "p2/portal", "p3/ct", "p3/late_ct"], ["p1", "p2", "p3/ct", "p3/late_ct"]),
    ],
)
def test_cases_are_named_by_their_file_or_folder(images: list[str], expected: list[str]) -> None:
    assert [*case_names(files(images)).values()] == expected


WORDS = ("", "ct", "img", "volume-", "seg_", "label", "mask-", "gt_")
NUMBERS = ("0", "1", "01", "10", "11", "001", "p1", "p1_0000", "p1_0001", "case_0000")
SUFFIXES = ("", "_seg", "-mask", "_ct", "_0000")
NAMES = st.builds(
    lambda folder, word, number, suffix: f"{folder}{word}{number}{suffix}",
    st.sampled_from(("", "", "p1/", "p2/")),
    st.sampled_from(WORDS),
    st.sampled_from(NUMBERS),
    st.sampled_from(SUFFIXES),
)


@given(images=st.lists(NAMES, max_size=8, unique=True), labels=st.lists(NAMES, max_size=8, unique=True), data=st.data())
def test_no_label_map_has_two_ct_and_the_order_of_files_has_no_effect(
    images: list[str], labels: list[str], data: st.DataObject
) -> None:
    found = paired(images, labels)
    used = [*found.label_of.values()]
    assert len(set(used)) == len(used)
    unclear = {file for group in found.unclear for side in group for file in side}
    in_channels = {file for group in found.channels for file in group}
    assert unclear.isdisjoint({*used, *found.label_of, *found.unused})
    assert in_channels.isdisjoint(found.label_of)
    again = paired(data.draw(st.permutations(images)), data.draw(st.permutations(labels)))
    assert again.label_of == found.label_of
    assert set(again.unused) == set(found.unused)
    assert {file for group in again.unclear for side in group for file in side} == unclear


@given(
    numbers=st.lists(st.text("0123456789", min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    others=st.lists(st.text("0123456789", min_size=1, max_size=4), max_size=6, unique=True),
)
def test_numbers_are_compared_as_text(numbers: list[str], others: list[str]) -> None:
    found = paired([f"volume-{n}" for n in numbers], [f"segmentation-{n}" for n in others])
    assert pairs(found) == {f"volume-{n}": f"segmentation-{n}" for n in numbers if n in others}
    assert {file.name for file in found.unused} == {f"segmentation-{n}" for n in others if n not in numbers}
