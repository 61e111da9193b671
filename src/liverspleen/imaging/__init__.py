"""CT volumes and label maps: NIfTI, NRRD, MetaImage and DICOM, orientation and geometry."""

from liverspleen.imaging.files import read_ct, read_grid, read_label_map
from liverspleen.imaging.from_memory import CTLike, as_ct_volume, ct_from_array, ct_from_nibabel
from liverspleen.imaging.geometry import Geometry, corner_displacement_mm, same_grid
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap

__all__ = [
    "CTLike",
    "CTVolume",
    "Geometry",
    "LabelMap",
    "as_ct_volume",
    "corner_displacement_mm",
    "ct_from_array",
    "ct_from_nibabel",
    "read_ct",
    "read_grid",
    "read_label_map",
    "same_grid",
    "write_ct",
    "write_label_map",
]
