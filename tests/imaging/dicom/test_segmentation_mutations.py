"""Headers of segmentations with random changes: read as an independent decoder reads them, or rejected."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_stacks import SHAPE, only, write
from numpy.typing import NDArray
from plain_segmentation import CODES, EVERY, LIVER_VOXELS, SPLEEN_VOXELS, save, segmentation
from pydicom.dataset import Dataset

from liverspleen.errors import InputError
from liverspleen.imaging.dicom import (
    SourceImages,
    find_segmentations,
    match_series,
    read_segmentation,
    source_images,
)
from liverspleen.imaging.dicom.quiet import quiet

MUTATIONS = 300
ORGANS = ("liver", "spleen")


def decoded(file: Path) -> NDArray[np.uint8]:
    """The label map on the grid of `dicom_stacks`, by DICOM PS3.3 C.8.20 and C.7.6.16: one frame after the other."""
    d = pydicom.dcmread(file)
    labels = np.zeros((SHAPE[2], SHAPE[1], SHAPE[0]), np.uint8)
    groups, rows, columns = d.PerFrameFunctionalGroupsSequence, d.Rows, d.Columns
    values = np.frombuffer(d.PixelData, np.uint8)
    if d.BitsAllocated == 1:
        values = np.unpackbits(values, bitorder="little")
    values = values[: len(groups) * rows * columns].reshape(len(groups), rows, columns)
    organs = {int(segment.SegmentNumber): organ_of(segment) for segment in d.SegmentSequence}
    common = d.SharedFunctionalGroupsSequence[0]
    for group, pixels in zip(groups, values, strict=True):

        def of(name: str, group: Dataset = group) -> Dataset:
            return (group if name in group else common)[name].value[0]

        assert np.allclose(of("PlaneOrientationSequence").ImageOrientationPatient, [1, 0, 0, 0, 1, 0], atol=1e-3)
        assert np.allclose(of("PixelMeasuresSequence").PixelSpacing, [0.5, 0.75], rtol=0.01)
        position = np.array([float(v) for v in of("PlanePositionSequence").ImagePositionPatient])
        column, row, index = (position - [-15, -9, -300]) / [0.75, 0.5, 2.5]
        if d.SegmentationType == "LABELMAP":
            found = {value: organs[value] for value in np.unique(pixels).tolist() if value}
        else:
            number = int(of("SegmentIdentificationSequence").ReferencedSegmentNumber)
            full = d.MaximumFractionalValue if d.SegmentationType == "FRACTIONAL" else 1
            pixels, found = np.where(pixels == full, number, 0), {number: organs[number]}
        place = labels[round(index), round(row) :, round(column) :]
        assert not pixels.any() or (min(round(index), round(row), round(column)) >= 0)
        for value, organ in found.items():
            if organ:
                place[:rows, :columns][pixels == value] = organ
    return labels


def organ_of(segment: Dataset) -> int:
    """The organ of a segment by its code, else by its label."""
    for code in segment.get("SegmentedPropertyTypeCodeSequence", ())[:1]:
        if code.get("CodingSchemeDesignator") in ("SCT", "SRT", "SNM3"):
            return next((n for n, name in enumerate(ORGANS, 1) if CODES[name][1] == code.get("CodeValue")), 0)
    return next((n for n, name in enumerate(ORGANS, 1) if name == segment.get("SegmentLabel", "").lower()), 0)


def elements(dataset: Dataset) -> Iterator[tuple[Dataset, Any]]:
    """Every element of a data set and of its sequences, with the data set that holds it."""
    for element in dataset:
        if element.keyword != "PixelData":
            yield dataset, element
        for inner in element.value if element.VR == "SQ" else ():
            yield from elements(inner)


def mutate(dataset: Dataset, chance: random.Random) -> str:
    """Change one random element, so that each kind of element is as likely as another; return its keyword."""
    found: dict[str, list[tuple[Dataset, Any]]] = {}
    for holder, element in (*elements(dataset.file_meta), *elements(dataset)):
        found.setdefault(element.keyword, []).append((holder, element))
    keyword = chance.choice([name for name in found if not name.startswith(("FileMeta", "TransferSyntax"))])
    holder, element = chance.choice(found[keyword])
    value = element.value
    if chance.random() < 0.15:
        del holder[element.tag]
    elif element.VR == "SQ":
        items = list(value)
        other = chance.choice(items)
        items = chance.choice([items[:-1], [*items, other], items[::-1], [*items[1:], *items[:1]]])
        setattr(holder, keyword, items)
    else:
        setattr(holder, keyword, changed(value, element.VR, chance))
    return keyword


def changed(value: Any, vr: str, chance: random.Random) -> Any:
    if isinstance(value, pydicom.multival.MultiValue | list):
        at = chance.randrange(len(value))
        return [changed(part, vr, chance) if n == at else part for n, part in enumerate(value)]
    if vr in ("US", "UL", "IS"):
        return chance.choice([int(value) + 1, max(int(value) - 1, 0), 0, 2, int(value) * 2, 99])
    if vr == "DS":
        return chance.choice([float(value) + 2.5, float(value) - 0.5, -float(value), 0, float(value) * 2])
    if vr == "AT":
        return chance.choice([0x0062000B, 0x00200032, 0x00209157])
    text = str(value)
    choices = ["", text + "1", text[:-1], "LABELMAP", "FRACTIONAL", "BINARY", *ORGANS, CODES["liver"][1], "CT", "SRT"]
    return chance.choice(choices)


def read(file: Path, images: SourceImages) -> NDArray[np.uint8] | None:
    """The label map, or None if the segmentation is rejected or has no CT."""
    found = next(iter(find_segmentations(file.parent)), None)
    geometry = images.series.geometry
    assert geometry is not None
    if found is None or (match := match_series(found, [images])).issue or not match.series:
        return None
    try:
        return read_segmentation(found, geometry, case_id="a", instance_uids=images.instance_uids).labels
    except InputError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_a_changed_header_is_read_as_by_another_decoder_or_rejected(kind: str, tmp_path: Path) -> None:
    sources = write(tmp_path / "ct")
    images = source_images(only(tmp_path / "ct"))
    file = tmp_path / "seg" / "s.dcm"
    save(segmentation(sources, kind=kind), file)
    np.testing.assert_array_equal(read(file, images), decoded(file))
    assert [int((decoded(file) == organ).sum()) for organ in (1, 2)] == [LIVER_VOXELS, SPLEEN_VOXELS]
    outcomes: dict[str, list[str]] = {"read": [], "rejected": []}
    for seed in range(MUTATIONS // 3):
        dataset = segmentation(sources, kind=kind, links=EVERY if seed % 2 else ("frame",))
        with quiet():
            keyword = mutate(dataset, random.Random(seed))
            save(dataset, file)
        labels = read(file, images)
        outcomes["rejected" if labels is None else "read"].append(keyword)
        if labels is not None:
            with quiet():
                np.testing.assert_array_equal(labels, decoded(file), err_msg=f"seed {seed}: {keyword}")
    assert min(map(len, outcomes.values())) > 20, outcomes
