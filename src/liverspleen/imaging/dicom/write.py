"""CT series and segmentations written as DICOM."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen import __version__
from liverspleen.imaging.dicom.door import pydicom, quiet
from liverspleen.imaging.dicom.header import CT_IMAGE, numbers
from liverspleen.imaging.dicom.placement import Plane, place
from liverspleen.imaging.dicom.segmentation import CODES
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.storage import complete_file
from liverspleen.structures import Structure

EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
RLE, JPEG_2000, JPEG_LS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"
"""Transfer syntaxes that `write_series` writes, all lossless."""

_DATE, _TIME = "20000101", "000000"  # the same for all: what is written here was not examined at any time
_MEANINGS = {Structure.LIVER: "Liver", Structure.SPLEEN: "Spleen"}


def write_series(
    folder: Path,
    ct: CTVolume,
    *,
    tags: Mapping[str, object] | None = None,
    transfer_syntax: str = EXPLICIT,
) -> tuple[Path, ...]:
    """Write a CT as CT Image Storage, one file per native section: `0001.dcm` and so on; the files.

    The native axes are column, row and section, as in NIfTI; the orientation and positions say how they lie. Values are
    stored as int16 HU. `tags` sets or replaces fields by their DICOM keyword, in every file. UIDs come from the
    content, so that the same CT and tags give the same bytes. Each file is complete or absent.

    Raises:
        ValueError: the sections are sheared, which the plane of a CT image cannot say.
    """
    geometry = ct.geometry
    steps = geometry.affine[:3, :3] * np.array([[-1.0], [-1.0], [1.0]])  # to DICOM's world, left and posterior
    columns_mm, rows_mm, sections_mm = np.linalg.norm(steps, axis=0)
    across, down, along = (steps / np.array([columns_mm, rows_mm, sections_mm])).T
    if max(abs(across @ down), abs(across @ along), abs(down @ along)) > 1e-6:
        raise ValueError("the grid is sheared: sections do not lie above each other")
    native = geometry.to_native(ct.hu)
    seed = _digest(np.ascontiguousarray(ct.hu).tobytes(), geometry.affine.tobytes(), sorted((tags or {}).items()))
    common = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CT_IMAGE,
        "Modality": "CT",
        "StudyInstanceUID": _uid(seed, "study"),
        "SeriesInstanceUID": _uid(seed, "series"),
        "FrameOfReferenceUID": _uid(seed, "frame"),
        **dict.fromkeys(("StudyDate", "SeriesDate", "ContentDate"), _DATE),
        **dict.fromkeys(("StudyTime", "SeriesTime", "ContentTime"), _TIME),
        **dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "PatientSex"), ""),
        **dict.fromkeys(("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"), ""),
        "Manufacturer": "liverspleen",
        "PatientPosition": "HFS",
        "BodyPartExamined": "ABDOMEN",
        "StudyID": "1",
        "SeriesNumber": 1,
        "AcquisitionNumber": 1,
        "KVP": 120,
        "SliceThickness": _decimal(sections_mm),
        "ImageOrientationPatient": [_decimal(v) for v in (*across, *down)],
        "PixelSpacing": [_decimal(rows_mm), _decimal(columns_mm)],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": geometry.shape[1],
        "Columns": geometry.shape[0],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "HU",
    }
    files = []
    for index in range(geometry.shape[2]):
        position = (geometry.affine @ [0, 0, index, 1])[:3] * [-1, -1, 1]
        own = {
            "SOPInstanceUID": _uid(seed, f"section {index}"),
            "InstanceNumber": index + 1,
            "ImagePositionPatient": [_decimal(v) for v in position],
        }
        files.append(folder / f"{index + 1:04d}.dcm")
        _write(files[-1], {**common, **own, **(tags or {})}, native[:, :, index].T, transfer_syntax)
    return tuple(files)


def write_segmentation(file: Path, label_map: LabelMap, sources: Sequence[Path]) -> None:
    """Write a label map as a binary DICOM segmentation of the CT in the files `sources`, coded in SNOMED CT.

    One segment for each structure that the label map covers, drawn by hand (algorithm type manual). It carries the
    patient and study of its CT. The same input gives the same bytes; the file is complete or absent.

    Raises:
        ValueError: a section of the CT is no section of the label map's grid.
    """
    import highdicom  # takes a second to load

    with quiet():
        headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sources]
        masks = np.stack([_section_of(label_map, header) for header in headers])
        seed = _digest(masks.tobytes(), *(header.SOPInstanceUID for header in headers))
        segments = [
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=_MEANINGS[structure],
                segmented_property_category=highdicom.sr.CodedConcept("123037004", "SCT", "Anatomical structure"),
                segmented_property_type=highdicom.sr.CodedConcept(_code(structure), "SCT", _MEANINGS[structure]),
                algorithm_type="MANUAL",
            )
            for number, structure in enumerate(label_map.covered, start=1)
        ]
        dataset = highdicom.seg.Segmentation(
            source_images=headers,
            pixel_array=np.stack([masks == structure for structure in label_map.covered], axis=-1).astype(np.uint8),
            segmentation_type="BINARY",
            segment_descriptions=segments,
            series_instance_uid=_uid(seed, "segmentation series"),
            series_number=100,
            sop_instance_uid=_uid(seed, "segmentation"),
            instance_number=1,
            manufacturer="liverspleen",
            manufacturer_model_name="liverspleen",
            software_versions=__version__,
            device_serial_number="0",
            content_label="LIVER_SPLEEN",
            series_description="Liver and spleen",
        )
        _fix_time(dataset, _uid(seed, "dimensions"))
        with complete_file(file) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)


def _section_of(label_map: LabelMap, header: Any) -> NDArray[np.uint8]:
    plane = Plane(
        numbers(header, "ImagePositionPatient", 3) or (),
        numbers(header, "ImageOrientationPatient", 6) or (),
        numbers(header, "PixelSpacing", 2) or (),
        header.Rows,
        header.Columns,
    )
    placement = place(plane, label_map.geometry)
    if placement is None:
        raise ValueError("a section of the CT is no section of the label map's grid")
    return placement.view(label_map.geometry.to_native(label_map.labels))


def _fix_time(dataset: Any, dimensions_uid: str) -> None:
    """Put constants where highdicom writes the time of the call and a random UID."""
    for keyword in ("InstanceCreationDate", "ContentDate"):
        setattr(dataset, keyword, _DATE)
    for keyword in ("InstanceCreationTime", "ContentTime"):
        setattr(dataset, keyword, _TIME)
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = _DATE + _TIME
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions_uid


def _write(path: Path, fields: Mapping[str, object], pixels: NDArray[np.int16], transfer_syntax: str) -> None:
    dataset = pydicom.Dataset()
    with quiet():
        for keyword, value in fields.items():
            setattr(dataset, keyword, value)
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = EXPLICIT
        dataset.PixelData = pixels.astype("<i2").tobytes()
        dataset["PixelData"].VR = "OW"
        if pydicom.uid.UID(transfer_syntax).is_encapsulated:
            dataset.compress(transfer_syntax, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = transfer_syntax
        with complete_file(path) as temporary:
            dataset.save_as(temporary, implicit_vr=transfer_syntax == IMPLICIT, enforce_file_format=True)


def _decimal(value: float) -> Any:
    """A decimal string of at most 16 characters, as near as that comes."""
    return pydicom.valuerep.DSfloat(float(value) + 0.0, auto_format=True)


def _code(structure: Structure) -> str:
    return next(value for (scheme, value), found in CODES.items() if scheme == "SCT" and found is structure)


def _digest(*parts: object) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part if isinstance(part, bytes) else repr(part).encode())
    return whole.hexdigest()


def _uid(seed: str, what: str) -> str:
    return str(pydicom.uid.generate_uid(entropy_srcs=[seed, what]))
