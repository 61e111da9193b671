"""Writing of CT series and segmentations as DICOM."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen import __version__
from liverspleen.imaging.dicom.header import CT_IMAGE, DAMAGED, ENHANCED_CT, numbers, text
from liverspleen.imaging.dicom.placement import Placement, Plane, place
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure, listed
from liverspleen.storage import StrPath, complete_file

EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
RLE, JPEG_2000, JPEG_LS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"
"""Transfer syntaxes of `write_series`, all lossless."""

_DATE, _TIME = "20000101", "000000"  # constant: these series have no date of examination
_COMMON = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_REFERENCED = (*_COMMON, "SOPClassUID", "SOPInstanceUID")
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_CODE_STRING = 16  # longest value of value representation CS


def write_series(
    folder: StrPath,
    ct: CTVolume,
    *,
    tags: Mapping[str, object] | None = None,
    transfer_syntax: str = EXPLICIT,
) -> tuple[Path, ...]:
    """Write a CT as CT Image Storage, one file per native slice (`0001.dcm` and so on); return the files.

    The native axes are column, row and slice, as in NIfTI; orientation and positions give their directions. Values are
    stored as int16 HU. `tags` sets or replaces fields by their DICOM keyword, in every file. UIDs are derived from the
    content, so the same CT and tags give the same bytes. Each file is complete or absent.

    Raises:
        ValueError: the slices are sheared, which CT Image Storage cannot represent.
    """
    folder, geometry = Path(folder), ct.geometry
    steps = geometry.affine[:3, :3] * np.array([[-1.0], [-1.0], [1.0]])  # to DICOM's world (left, posterior)
    columns_mm, rows_mm, slices_mm = np.linalg.norm(steps, axis=0)
    across, down, along = (steps / np.array([columns_mm, rows_mm, slices_mm])).T
    if max(abs(across @ down), abs(across @ along), abs(down @ along)) > 1e-6:
        raise ValueError("the grid is sheared, which CT Image Storage cannot represent")
    native = geometry.to_native(ct.hu)
    seed = digest(np.ascontiguousarray(ct.hu).tobytes(), geometry.affine.tobytes(), sorted((tags or {}).items()))
    common = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CT_IMAGE,
        "Modality": "CT",
        "StudyInstanceUID": uid(seed, "study"),
        "SeriesInstanceUID": uid(seed, "series"),
        "FrameOfReferenceUID": uid(seed, "frame"),
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
        "SliceThickness": _decimal(slices_mm),
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
        slice_tags = {
            "SOPInstanceUID": uid(seed, f"slice {index}"),
            "InstanceNumber": index + 1,
            "ImagePositionPatient": [_decimal(v) for v in position],
        }
        files.append(folder / f"{index + 1:04d}.dcm")
        _write(files[-1], {**common, **slice_tags, **(tags or {})}, native[:, :, index].T, transfer_syntax)
    return tuple(files)


@dataclass(frozen=True)
class Algorithm:
    """The algorithm that made a label map."""

    name: str
    version: str


class UnreferableError(ValueError):
    """The files of a CT cannot be referenced; the text gives the reason and quotes no header."""


def write_segmentation(
    file: StrPath, label_map: LabelMap, sources: Sequence[StrPath], *, algorithm: Algorithm | None = None
) -> None:
    """Write a label map as a binary DICOM segmentation of the CT in the files `sources`, coded in SNOMED CT.

    It has one segment for each structure that the label map covers, of algorithm type manual, or automatic if
    `algorithm` is given, and the patient and study of its CT. Without an algorithm the same input gives the same bytes
    (for test data); with one, each call writes a new instance of a new series with its own date and UIDs, as the
    standard requires. The file is complete or absent.

    Raises:
        UnreferableError: the files cannot be read, have no valid, distinct UIDs of their instances, or not one study,
            series and frame of reference.
        ValueError: a slice of the CT is missing, or is not a slice of the label map's grid.
    """
    with quiet():
        headers = _referable_headers(sources)
        dataset = _segmentation(label_map.covered, _masks(label_map, headers), headers, algorithm)
        if algorithm is None:
            _fix_time(dataset)
        with complete_file(Path(file)) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)


def write_probabilities(
    file: StrPath,
    maps: Mapping[Structure, NDArray[np.uint8]],
    geometry: Geometry,
    sources: Sequence[StrPath],
    *,
    algorithm: Algorithm,
) -> None:
    """Write probability maps as a fractional DICOM segmentation of the CT in the files `sources`, coded in SNOMED CT.

    Each map is uint8 (slice, row, column) on `geometry`, with 255 for 1; frames without a probability above 0 are not
    stored. Otherwise, and for what is raised, as `write_segmentation` with an algorithm.
    """
    with quiet():
        headers = _referable_headers(sources)
        native = [geometry.to_native(values) for values in maps.values()]
        placements = [_placement(geometry, header) for header in headers]
        # highdicom scales an array of floats in memory, four times the size; it gets where a frame has values, and the
        # values are set afterwards
        stored = np.stack([np.stack([place.view(one) > 0 for one in native], axis=-1) for place in placements])
        dataset = _segmentation(tuple(maps), stored.view(np.uint8), headers, algorithm, fractional=True)
        of_instance = dict(zip((header.SOPInstanceUID for header in headers), placements, strict=True))
        frames = (
            of_instance[_source_uid(frame)].view(native[_segment_number(frame) - 1])
            for frame in dataset.PerFrameFunctionalGroupsSequence
        )
        pixels = b"".join(frame.tobytes() for frame in frames)
        dataset.PixelData = pixels + bytes(len(pixels) % 2)
        with complete_file(Path(file)) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)


def _source_uid(frame: Any) -> str:
    return str(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)


def _segment_number(frame: Any) -> int:
    return int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _referable_headers(sources: Sequence[StrPath]) -> list[Any]:
    """Return the headers of the files of a CT, or raise `UnreferableError`."""
    try:
        headers = [_source_header(Path(path)) for path in sources]
    except DAMAGED as error:
        raise UnreferableError(f"files of the CT cannot be read ({type(error).__name__})") from None
    if reason := _unreferable(headers):
        raise UnreferableError(reason)
    return headers


def _segmentation(
    structures: Sequence[Structure],
    masks: NDArray[np.uint8],
    headers: Sequence[Any],
    algorithm: Algorithm | None,
    *,
    fractional: bool = False,
) -> Any:
    """Return the dataset of segment numbers (slice, row, column), or of one mask per segment along a last axis."""
    run = "" if algorithm is None else f"{algorithm} {fractional} {datetime.now(UTC).isoformat()}"
    seed = digest(masks.tobytes(), *(header.SOPInstanceUID for header in headers), *([run] if run else []))
    try:
        dataset = _built(structures, masks, headers, algorithm, seed, fractional=fractional)
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # its text may quote the headers
        message = f"headers of the CT cannot be copied ({type(error).__name__})"
        raise UnreferableError(message) from None
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid(seed, "dimensions")  # random by default
    return dataset


def _built(
    structures: Sequence[Structure],
    masks: NDArray[np.uint8],
    headers: Sequence[Any],
    algorithm: Algorithm | None,
    seed: str,
    *,
    fractional: bool,
) -> Any:
    import highdicom  # slow to import (1 s)

    covered = [structure.key for structure in structures]
    segments = [
        _segment(highdicom, number, structure, algorithm) for number, structure in enumerate(structures, start=1)
    ]
    kind: dict[str, Any] = {"segmentation_type": "BINARY"}
    if fractional:
        kind = {"segmentation_type": "FRACTIONAL", "fractional_type": "PROBABILITY"}
    title = listed(keys=covered).capitalize()
    return highdicom.seg.Segmentation(
        source_images=headers,
        pixel_array=masks,
        **kind,
        segment_descriptions=segments,
        series_instance_uid=uid(seed, "segmentation series"),
        series_number=101 if fractional else 100,
        sop_instance_uid=uid(seed, "segmentation"),
        instance_number=1,
        manufacturer="liverspleen",
        manufacturer_model_name="liverspleen",
        software_versions=__version__,
        device_serial_number="0",
        content_label="_".join(covered).upper()[:_CODE_STRING],
        series_description=f"{title}, probability" if fractional else title,
        specific_character_set="ISO_IR 192",  # UTF-8, whatever the CT has
    )


def _source_header(path: Path) -> Any:
    """Read a header for highdicom; required fields that may be empty are added.

    SpacingBetweenSlices is removed: highdicom copies it, and in some CT scans it contradicts the positions.
    """
    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    header.pop("SpacingBetweenSlices", None)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, None)
    return header


def _unreferable(headers: Sequence[Any]) -> str:
    """Return the reason why files cannot be referenced; empty if they can."""
    if any(text(header, "SOPClassUID") in ENHANCED_CT for header in headers):
        return "the CT is an Enhanced (multi-frame) CT"
    stated = [[text(header, keyword) for keyword in _REFERENCED] for header in headers]
    for number, keyword in enumerate(_REFERENCED):
        if not all(len(uids[number]) <= 64 and pydicom.uid.UID(uids[number]).is_valid for uids in stated):
            return f"files of the CT have no valid {keyword}"
        if keyword in _COMMON and len({uids[number] for uids in stated}) > 1:
            return f"files of the CT have different values of {keyword}, expected one"
    if len({uids[-1] for uids in stated}) < len(stated):
        return "files of the CT share one SOPInstanceUID"
    return ""


def _segment(highdicom: Any, number: int, structure: Structure, algorithm: Algorithm | None) -> Any:
    """Return the description of a segment."""
    origin: dict[str, Any] = {"algorithm_type": "MANUAL"}
    if algorithm is not None:
        family = highdicom.sr.CodedConcept("123110", "DCM", "Artificial Intelligence")
        identity = highdicom.AlgorithmIdentificationSequence(algorithm.name[:64], family, algorithm.version[:64])
        origin = {"algorithm_type": "AUTOMATIC", "algorithm_identification": identity}
    colour = structure.facts.colour.removeprefix("#")
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=structure.title,
        segmented_property_category=highdicom.sr.CodedConcept("123037004", "SCT", "Anatomical structure"),
        segmented_property_type=highdicom.sr.CodedConcept(structure.facts.sct, "SCT", structure.title),
        display_color=highdicom.color.CIELabColor.from_rgb(*bytes.fromhex(colour)),
        **origin,
    )


def _masks(label_map: LabelMap, headers: Sequence[Any]) -> NDArray[np.uint8]:
    """Return segment numbers, (slice, row, column); 0 is background."""
    numbers_of = np.zeros(256, np.uint8)
    numbers_of[list(label_map.covered)] = np.arange(1, len(label_map.covered) + 1)
    return np.stack([numbers_of[_slice_of(label_map, header)] for header in headers])


def _slice_of(label_map: LabelMap, header: Any) -> NDArray[np.uint8]:
    return _placement(label_map.geometry, header).view(label_map.geometry.to_native(label_map.labels))


def _placement(geometry: Geometry, header: Any) -> Placement:
    plane = Plane(
        numbers(header, "ImagePositionPatient", 3) or (),
        numbers(header, "ImageOrientationPatient", 6) or (),
        numbers(header, "PixelSpacing", 2) or (),
        header.Rows,
        header.Columns,
    )
    placement = place(plane, geometry)
    if placement is None:
        raise ValueError("a slice of the CT is not a slice of the label map's grid")
    return placement


def _fix_time(dataset: Any) -> None:
    """Replace the time of the call, which highdicom writes, by constants."""
    for keyword in ("InstanceCreationDate", "ContentDate"):
        setattr(dataset, keyword, _DATE)
    for keyword in ("InstanceCreationTime", "ContentTime"):
        setattr(dataset, keyword, _TIME)
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = _DATE + _TIME


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
    """Return the closest decimal string of at most 16 characters."""
    return pydicom.valuerep.DSfloat(float(value) + 0.0, auto_format=True)


def digest(*parts: object) -> str:
    """Return the SHA-256 of bytes and of the representation of other values."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return digest.hexdigest()


def uid(seed: str, name: str) -> str:
    """Return the UID of a name; it depends on nothing else than its arguments."""
    return str(pydicom.uid.generate_uid(entropy_srcs=[seed, name]))
