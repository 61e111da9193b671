"""The CT of a segmentation: by source images, else by frame of reference and grid, else by series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_stacks import AFFINE, SHAPE, made, write
from plain_segmentation import EVERY, item, save, segmentation
from pydicom.dataset import FileDataset

from liverspleen.imaging.dicom import find_segmentations, find_series, match_series, source_images

FRAME, OTHER_FRAME = "2.25.10", "2.25.11"
NAMES = ("derivation", "instances", "series")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phases on one grid, a series further up, one with another pixel spacing, and one of another examination."""
    root = tmp_path_factory.mktemp("cts")
    up, wide = AFFINE.copy(), AFFINE @ np.diag([1.1, 1.1, 1, 1])
    up[2, 3] += 3 * 2.5  # it has two of the four slices with frames
    for number, (name, affine) in enumerate(
        {"portal": AFFINE, "late": AFFINE, "up": up, "wide": wide, "other": AFFINE}.items()
    ):
        frame = OTHER_FRAME if name == "other" else FRAME
        write(root / name, made(affine, SHAPE, seed=number), FrameOfReferenceUID=frame)
    return root


def files(folder: Path, name: str) -> list[Path]:
    return sorted((folder / name).glob("*.dcm"))


def uid(folder: Path, name: str) -> str:
    return find_series(folder / name)[0].series_uid


def matched(folder: Path, tmp_path: Path, dataset: FileDataset, *names: str) -> tuple[list[str], str]:
    """The matching series of those with these names, and the code of the reason."""
    save(dataset, tmp_path / "s.dcm")
    (found,) = find_segmentations(tmp_path)
    images = [source_images(series) for name in names for series in find_series(folder / name)]
    match = match_series(found, images)
    folders = sorted(series.files[0].parent.name for series in match.series)
    return folders, match.issue.code if match.issue else ""


ALL = ("late", "portal", "up", "wide", "other")


@pytest.mark.parametrize(
    "links",
    [("derivation",), ("instances", "series"), ("series",), EVERY, ("derivation", "frame")],
)
def test_explicit_references_select_among_series_on_one_grid(
    links: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    dataset = segmentation(files(folder, "portal"), links=links)
    assert matched(folder, tmp_path, dataset, *ALL) == (["portal"], "")


@pytest.mark.parametrize("keyword", ["SourceImageSequence", "ReferencedImageSequence"])
def test_images_that_the_whole_file_refers_to_are_found(keyword: str, folder: Path, tmp_path: Path) -> None:
    """As in collections of TCIA (OHIF/Viewers#2017, #2361)."""
    portal = files(folder, "portal")
    dataset = segmentation(portal, links=("frame",))
    uids = [pydicom.dcmread(file).SOPInstanceUID for file in portal]
    setattr(dataset, keyword, [item(ReferencedSOPInstanceUID=uid) for uid in uids])
    assert matched(folder, tmp_path, dataset, *ALL) == (["portal"], "")


def test_frame_of_reference_and_grid_find_the_only_series(folder: Path, tmp_path: Path) -> None:
    dataset = segmentation(files(folder, "portal"), links=("frame",))
    assert matched(folder, tmp_path, dataset, "portal", "up", "wide", "other") == (["portal"], "")


@pytest.mark.parametrize("names", [("wide",), ("other",)])
def test_another_grid_or_frame_of_reference_is_no_match(names: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    dataset = segmentation(files(folder, "portal"), links=("frame",))
    assert matched(folder, tmp_path, dataset, *names) == ([], "")


def test_two_series_on_one_grid_are_ambiguous(folder: Path, tmp_path: Path) -> None:
    dataset = segmentation(files(folder, "portal"), links=("frame",))
    assert matched(folder, tmp_path, dataset, *ALL) == (["late", "portal"], "LS-DCM-073")


@pytest.mark.parametrize("links", [NAMES, ("derivation",), ("series",)])
def test_images_that_are_not_there_are_not_replaced_by_others_on_their_grid(
    links: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    dataset = segmentation(files(folder, "portal"), links=(*links, "frame"))
    assert matched(folder, tmp_path, dataset, "late", "up", "wide", "other") == ([], "")


def test_a_further_reference_does_no_harm(folder: Path, tmp_path: Path) -> None:
    dataset = segmentation(files(folder, "portal"))
    dataset.ReferencedSeriesSequence.append(item(SeriesInstanceUID="2.25.99"))
    assert matched(folder, tmp_path, dataset, *ALL) == (["portal"], "")
    dataset.ReferencedSeriesSequence[1].SeriesInstanceUID = uid(folder, "other")
    assert matched(folder, tmp_path, dataset, *ALL) == (["portal"], "")


def test_of_two_referenced_series_that_with_the_grid_is_selected(folder: Path, tmp_path: Path) -> None:
    dataset = segmentation(files(folder, "portal"), links=("series", "frame"))
    dataset.ReferencedSeriesSequence.append(item(SeriesInstanceUID=uid(folder, "wide")))
    assert matched(folder, tmp_path, dataset, *ALL) == (["portal"], "")
    dataset.ReferencedSeriesSequence[1].SeriesInstanceUID = uid(folder, "late")
    assert matched(folder, tmp_path, dataset, *ALL) == (["late", "portal"], "LS-DCM-073")


@pytest.mark.parametrize(
    ("keyword", "value"), [("FrameOfReferenceUID", OTHER_FRAME), ("ReferencedSeriesSequence", "late")]
)
def test_statements_about_two_series_are_contradictory(keyword: str, value: str, folder: Path, tmp_path: Path) -> None:
    dataset = segmentation(files(folder, "portal"), links=("derivation", "series", "frame"))
    if keyword == "FrameOfReferenceUID":
        dataset.FrameOfReferenceUID = value
    else:
        dataset.ReferencedSeriesSequence = [item(SeriesInstanceUID=uid(folder, value))]
    assert matched(folder, tmp_path, dataset, *ALL) == (["portal"], "LS-DCM-072")
