"""Small DICOM series for tests, and changes to their headers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom

from liverspleen.imaging import CTVolume, Geometry
from liverspleen.imaging.dicom import Series, find_series, write_series
from liverspleen.imaging.dicom.quiet import quiet

SHAPE = (41, 37, 8)  # columns, rows, slices
AFFINE = np.array([[-0.75, 0, 0, 15.0], [0, -0.5, 0, 9.0], [0, 0, 2.5, -300.0], [0, 0, 0, 1.0]])


def made(affine=AFFINE, shape=SHAPE, seed=0) -> CTVolume:
    """A CT of noise: voxels identify their position."""
    geometry = Geometry(shape, np.asarray(affine))
    rng = np.random.default_rng(seed)
    return CTVolume(rng.integers(-1024, 3000, geometry.canonical_shape).astype(np.int16), geometry)


def write(folder: Path, ct: CTVolume | None = None, **tags) -> tuple[Path, ...]:
    """A valid series; tags replace its fields."""
    return write_series(folder, ct or made(), tags={"PatientID": "P1", **tags})


def change(files: Sequence[Path], how: Callable[[pydicom.Dataset, int], None]) -> None:
    """Change the data set of each file in place: `how` is called with the data set and its number."""
    with quiet():  # pydicom warns of values that are deliberately wrong
        for number, file in enumerate(files):
            dataset = pydicom.dcmread(file)
            how(dataset, number)
            dataset.save_as(file)


def state(dataset: pydicom.Dataset, keyword: str, text: str) -> None:
    """Replace a value by any text, also by one that pydicom does not write."""
    tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(keyword))
    value = text.encode() + b" " * (len(text) % 2)
    vr = pydicom.datadict.dictionary_VR(tag)
    dataset[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(value), value, 0, False, True)


def only(root: Path, **options) -> Series:
    """The only series below `root`."""
    (series,) = find_series(root, **options)
    return series


def codes(series: Series) -> list[str]:
    return [reason.code for reason in series.exclusions]


def messages(series: Series) -> str:
    return "\n".join(reason.message for reason in series.exclusions)
