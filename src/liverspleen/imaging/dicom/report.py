"""Writing of measurements as a DICOM structured report: TID 1500 Measurement Report, as Enhanced SR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from liverspleen import __version__
from liverspleen.imaging.dicom.quiet import pydicom, quiet
from liverspleen.imaging.dicom.write import Algorithm, UnreferableError, digest, uid
from liverspleen.organs import RATIO_OF, Structure, listed
from liverspleen.storage import StrPath, complete_file

SCHEME: Final = "99LIVERSPLEEN"
"""Designator of the codes that DICOM and SNOMED CT do not have: statuses, the ratio, the core of an organ."""

_CM3: Final = ("cm3", "UCUM", "cubic centimeter")
_HU: Final = ("[hnsf'U]", "UCUM", "Hounsfield unit")
_RATIO_UNIT: Final = ("{ratio}", "UCUM", "ratio")
_VOLUME: Final = ("118565006", "SCT", "Volume")
_VOXEL_SUM: Final = ("126030", "DCM", "Sum of segmented voxel method for volume")
_ATTENUATION: Final = ("112031", "DCM", "Attenuation Coefficient")
_MEAN: Final = ("373098007", "SCT", "Mean")
_SD: Final = ("386136009", "SCT", "Standard Deviation")
_ANATOMY: Final = ("123037004", "SCT", "Anatomical structure")
_COMMENT: Final = ("121106", "DCM", "Comment")
_CODE_MEANING: Final = 64  # longest value of value representation LO

Statuses = Mapping[str, str]
"""Statuses of a value, by code of at most 16 characters; each with its meaning."""


@dataclass(frozen=True)
class OrganValues:
    """Measurements of one organ; None is undefined and is not written, and the statuses say why.

    Mean and SD of the attenuation in HU are those of the core: the label eroded by `hu_core_mm`.
    """

    structure: Structure
    volume_cm3: float | None
    volume_status: Statuses
    hu_mean: float | None = None
    hu_sd: float | None = None
    hu_core_mm: float | None = None
    hu_status: Statuses = field(default_factory=dict)


@dataclass(frozen=True)
class ReportContent:
    """Content of a structured report.

    `organs` are the organs of the segmentation that were measured. `ratio` is that of the volumes of the organs
    `RATIO_OF`; None is undefined. Without a `ratio_status` the report has no ratio. `parameters` are those of the
    algorithm, and `comment` is a text about the whole report.
    """

    organs: Sequence[OrganValues]
    ratio: float | None
    ratio_status: Statuses
    algorithm: Algorithm
    parameters: Sequence[str]
    comment: str


def write_report(file: StrPath, segmentation: StrPath, content: ReportContent) -> None:
    """Write measurements of the segments of a DICOM segmentation that `write_segmentation` wrote.

    The report belongs to patient and study of the segmentation and has its date. It refers to its segments, to the
    series of its CT, and to each instance of both as evidence. It is complete, preliminary and unverified. UIDs are
    derived from the segmentation and the content, so the same input gives the same bytes. The file is complete or
    absent.

    Raises:
        UnreferableError: headers of the segmentation, which are those of the CT, cannot be copied.
        LookupError: the segmentation has no segment of an organ.
    """
    with quiet():
        source = pydicom.dcmread(segmentation, stop_before_pixels=True)
        segments = {_code(segment): int(segment.SegmentNumber) for segment in source.SegmentSequence}
        if unknown := [o.structure.key for o in content.organs if o.structure.facts.sct not in segments]:
            raise LookupError(f"the segmentation has no segment of {listed(keys=unknown)}")
        try:
            dataset = _report(source, segments, content)
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # its text may quote the headers
            message = f"headers of the CT cannot be copied ({type(error).__name__})"
            raise UnreferableError(message) from None
        with complete_file(Path(file)) as temporary:
            dataset.save_as(temporary, enforce_file_format=True)


def _code(segment: Any) -> str:
    return str(segment.SegmentedPropertyTypeCodeSequence[0].CodeValue)


def _report(source: Any, segments: Mapping[str, int], content: ReportContent) -> Any:
    import highdicom  # slow to import (1 s)

    sr = highdicom.sr
    seed = digest(source.SOPInstanceUID, content)
    groups = [_organ_group(sr, seed, source, segments[o.structure.facts.sct], o, content) for o in content.organs]
    if content.ratio_status:
        groups.append(_ratio_group(sr, seed, content))
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid(__version__, "software"), name="liverspleen", manufacturer_name="liverspleen", model_name="liverspleen"
    )
    root = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(_concept(sr, ("121007", "DCM", "Device")), device)
        ),
        procedure_reported=_concept(sr, ("25045-6", "LN", "CT unspecified body region")),
        imaging_measurements=groups,
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(
            _concept(sr, ("en", "RFC5646", "English"))
        ),
    )
    contains = sr.RelationshipTypeValues.CONTAINS
    root[0].ContentSequence.append(sr.TextContentItem(_concept(sr, _COMMENT), content.comment, contains))
    title = listed(keys=[organ.structure.key for organ in content.organs]).capitalize()
    dataset = sr.EnhancedSR(
        evidence=[source, *_referenced(source)],
        content=root,
        series_instance_uid=uid(seed, "report series"),
        series_number=102,
        sop_instance_uid=uid(seed, "report"),
        instance_number=1,
        manufacturer="liverspleen",
        manufacturer_model_name="liverspleen",
        software_versions=__version__,
        device_serial_number="0",
        series_description=f"{title}, measurements, research use only"[:_CODE_MEANING],
        specific_character_set="ISO_IR 192",
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    _set_time(dataset, source)
    _set_equipment(dataset, source)
    _name_scheme(dataset)
    return dataset


def _organ_group(sr: Any, seed: str, source: Any, segment: int, organ: OrganValues, content: ReportContent) -> Any:
    site = (organ.structure.facts.sct, "SCT", organ.structure.title)
    series = source.ReferencedSeriesSequence[0].SeriesInstanceUID
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=sr.ReferencedSegment(
            source.SOPClassUID,
            source.SOPInstanceUID,
            segment,
            source_series=sr.SourceSeriesForSegmentation(series),
        ),
        finding_category=_concept(sr, _ANATOMY),
        finding_type=_concept(sr, site),
        finding_sites=[sr.FindingSite(_concept(sr, site))],
        measurements=list(_organ_measurements(sr, organ)),
        qualitative_evaluations=[
            *_evaluations(sr, "volume_status", "Status of the volume", organ.volume_status),
            *_evaluations(sr, "hu_status", "Status of the attenuation", organ.hu_status),
        ],
        **_origin(sr, seed, organ.structure.key, content),
    )


def _organ_measurements(sr: Any, organ: OrganValues) -> Iterator[Any]:
    if organ.volume_cm3 is not None:
        yield _measurement(sr, _VOLUME, organ.volume_cm3, _CM3, method=_concept(sr, _VOXEL_SUM))
    for value, derivation in ((organ.hu_mean, _MEAN), (organ.hu_sd, _SD)):
        if value is not None and organ.hu_core_mm is not None:
            core = f"{organ.hu_core_mm:g}"
            method = _concept(sr, (f"core_{core}_mm", SCHEME, f"Core of the organ: its segment eroded by {core} mm"))
            yield _measurement(sr, _ATTENUATION, value, _HU, method=method, derivation=_concept(sr, derivation))


def _ratio_group(sr: Any, seed: str, content: ReportContent) -> Any:
    name = "/".join(organ.key for organ in RATIO_OF).capitalize() + " volume ratio"
    code = ("volume_ratio", SCHEME, name)
    values = [] if content.ratio is None else [_measurement(sr, code, content.ratio, _RATIO_UNIT)]
    sites = [sr.FindingSite(_concept(sr, (organ.facts.sct, "SCT", organ.title))) for organ in RATIO_OF]
    return sr.MeasurementsAndQualitativeEvaluations(
        finding_sites=sites,
        measurements=values,
        qualitative_evaluations=_evaluations(sr, "ratio_status", "Status of the ratio", content.ratio_status),
        **_origin(sr, seed, "ratio", content),
    )


def _origin(sr: Any, seed: str, name: str, content: ReportContent) -> dict[str, Any]:
    """Return identifier and algorithm of a group of measurements."""
    algorithm = sr.AlgorithmIdentification(
        content.algorithm.name,
        content.algorithm.version,
        parameters=list(content.parameters),
        family=_concept(sr, ("123110", "DCM", "Artificial Intelligence")),
        manufacturer="liverspleen",
    )
    tracking = sr.TrackingIdentifier(uid=uid(seed, f"group {name}"), identifier=name)
    return {"tracking_identifier": tracking, "algorithm_id": algorithm}


def _measurement(sr: Any, name: tuple[str, str, str], value: float, unit: tuple[str, str, str], **more: Any) -> Any:
    return sr.Measurement(_concept(sr, name), float(value), _concept(sr, unit), **more)


def _evaluations(sr: Any, code: str, meaning: str, statuses: Statuses) -> list[Any]:
    name = _concept(sr, (code, SCHEME, meaning))
    return [sr.QualitativeEvaluation(name, _concept(sr, (key, SCHEME, text))) for key, text in statuses.items()]


def _concept(sr: Any, code: tuple[str, str, str]) -> Any:
    return sr.CodedConcept(*code)


def _referenced(source: Any) -> Iterator[Any]:
    """Yield the class and the UIDs of each instance that a segmentation refers to."""
    for series in source.ReferencedSeriesSequence:
        for instance in series.ReferencedInstanceSequence:
            header = pydicom.Dataset()
            header.StudyInstanceUID = source.StudyInstanceUID
            header.SeriesInstanceUID = series.SeriesInstanceUID
            header.SOPClassUID = instance.ReferencedSOPClassUID
            header.SOPInstanceUID = instance.ReferencedSOPInstanceUID
            yield header


def _set_time(dataset: Any, source: Any) -> None:
    """Replace the time of the call, which highdicom writes, by that of the segmentation."""
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime"):
        setattr(dataset, keyword, source[keyword].value)


def _set_equipment(dataset: Any, source: Any) -> None:
    """Replace the contributing equipment by that of the segmentation: highdicom states the software as a scanner."""
    dataset.pop("ContributingEquipmentSequence", None)
    if "ContributingEquipmentSequence" in source:
        dataset.ContributingEquipmentSequence = source.ContributingEquipmentSequence


def _name_scheme(dataset: Any) -> None:
    """State the name of the private coding scheme."""
    item = pydicom.Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "Codes of liverspleen"
    item.CodingSchemeResponsibleOrganization = "liverspleen"
    dataset.CodingSchemeIdentificationSequence = [item]
