"""DICOM: finding and reading of CT series; reading and writing of segmentations; writing of reports."""

from liverspleen.imaging.dicom.find import find_series
from liverspleen.imaging.dicom.folders import count_skipped_links
from liverspleen.imaging.dicom.jpeg_lossless import register
from liverspleen.imaging.dicom.read import read_series
from liverspleen.imaging.dicom.report import OrganValues, ReportContent, write_report
from liverspleen.imaging.dicom.segmentation import Segmentation, find_segmentations
from liverspleen.imaging.dicom.segmentation_read import read_segmentation
from liverspleen.imaging.dicom.segmented_series import Match, SourceImages, match_series, source_images
from liverspleen.imaging.dicom.series import Reason, Series, eligible
from liverspleen.imaging.dicom.write import (
    Algorithm,
    UnreferableError,
    write_probabilities,
    write_segmentation,
    write_series,
)

__all__ = [
    "Algorithm",
    "Match",
    "OrganValues",
    "Reason",
    "ReportContent",
    "Segmentation",
    "Series",
    "SourceImages",
    "UnreferableError",
    "count_skipped_links",
    "eligible",
    "find_segmentations",
    "find_series",
    "match_series",
    "read_segmentation",
    "read_series",
    "source_images",
    "write_probabilities",
    "write_report",
    "write_segmentation",
    "write_series",
]

register()
