"""Enhanced CT files for tests, made from files of one slice with pydicom alone."""

from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

POSITION, ORIENTATION, MEASURES = "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"
VALUES, TYPE, CONTENT = "PixelValueTransformationSequence", "CTImageFrameTypeSequence", "FrameContentSequence"
GROUPS = {
    POSITION: ("ImagePositionPatient",),
    ORIENTATION: ("ImageOrientationPatient",),
    MEASURES: ("PixelSpacing", "SliceThickness"),
    VALUES: ("RescaleSlope", "RescaleIntercept", "RescaleType"),
}


def group(source: Dataset, keywords: Sequence[str]) -> list[Dataset]:
    """A functional group with the fields of a slice."""
    item = Dataset()
    for keyword in keywords:
        if keyword in source:
            item[keyword] = source[keyword]
    return [item]


def enhanced(
    files: Sequence[Path],
    target: Path,
    order: Sequence[int] | None = None,
    *,
    shared: Sequence[str] = (ORIENTATION, MEASURES, VALUES),
) -> Path:
    """Replace files of one slice by one Enhanced CT with the frames in this order; `shared` are the shared groups."""
    slices = [pydicom.dcmread(files[number]) for number in (order or range(len(files)))]
    dataset = pydicom.dcmread(files[0])
    for keyword in (keyword for keywords in GROUPS.values() for keyword in keywords):
        if keyword in dataset:
            del dataset[keyword]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.EnhancedCTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.SOPInstanceUID[:60]}.1"
    dataset.NumberOfFrames = len(slices)
    common = Dataset()
    for name in shared:
        setattr(common, name, group(slices[0], GROUPS[name]))
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    common.CTImageFrameTypeSequence = [kind]
    dataset.SharedFunctionalGroupsSequence = [common]
    frames = []
    for source in slices:
        frame = Dataset()
        for name, keywords in GROUPS.items():
            if name not in shared:
                setattr(frame, name, group(source, keywords))
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        parts = [pydicom.encaps.get_frame(source.PixelData, 0, number_of_frames=1) for source in slices]
        dataset.PixelData = pydicom.encaps.encapsulate(parts)
    else:
        dataset.PixelData = b"".join(source.PixelData for source in slices)
    for file in files:
        file.unlink()
    dataset.save_as(target, enforce_file_format=True)
    return target
