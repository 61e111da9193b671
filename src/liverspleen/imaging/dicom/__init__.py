"""DICOM: CT series found, judged and read; segmentations read and written."""

from liverspleen.imaging.dicom.find import find_series
from liverspleen.imaging.dicom.folders import links_passed_over
from liverspleen.imaging.dicom.read import read_series
from liverspleen.imaging.dicom.segmentation import Segmentation, find_segmentations, read_segmentation
from liverspleen.imaging.dicom.series import Left, Series
from liverspleen.imaging.dicom.write import Algorithm, UnreferableError, write_segmentation, write_series

__all__ = [
    "Algorithm",
    "Left",
    "Segmentation",
    "Series",
    "UnreferableError",
    "find_segmentations",
    "find_series",
    "links_passed_over",
    "read_segmentation",
    "read_series",
    "write_segmentation",
    "write_series",
]
