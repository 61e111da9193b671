"""CT scans and label maps from formulas, so that the benchmark needs no images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liverspleen.cohort.manifest import Case
from liverspleen.imaging import CTVolume, Geometry, LabelMap, write_label_map
from liverspleen.organs import Structure

NOISE_HU = 15.0
ELLIPSOIDS = {  # HU, centre and half axes as fractions of (slices, rows, columns)
    Structure.LIVER: (110, (0.5, 0.45, 0.35), (0.4, 0.22, 0.2)),
    Structure.SPLEEN: (130, (0.55, 0.6, 0.75), (0.25, 0.12, 0.08)),
}


def volume(seed: int, *, slices: int, matrix: int) -> tuple[CTVolume, LabelMap]:
    """Return a CT and its label map: an elliptic body in air with a liver and a spleen, and noise."""
    rng = np.random.default_rng(seed)
    shape = (slices, matrix, matrix)
    z_axis, rows, columns = np.ogrid[0 : 1 : slices * 1j, 0 : 1 : matrix * 1j, 0 : 1 : matrix * 1j]
    labels, tissue = np.zeros(shape, np.uint8), np.full(shape, 20, np.float32)
    for organ, (hu, centre, (a, b, c)) in ELLIPSOIDS.items():
        z, y, x = centre + rng.normal(0, 0.02, 3)
        inside = ((z_axis - z) / a) ** 2 + ((rows - y) / b) ** 2 + ((columns - x) / c) ** 2 <= 1
        labels[inside], tissue[inside] = organ, hu
    tissue[np.broadcast_to(((rows - 0.5) / 0.35) ** 2 + ((columns - 0.5) / 0.45) ** 2 > 1, shape)] = -1000
    hu = (tissue + rng.standard_normal(shape, np.float32) * NOISE_HU).astype(np.int16)
    geometry = Geometry((matrix, matrix, slices), np.diag([-0.75, -0.75, 3.0, 1.0]))
    return CTVolume(hu, geometry), LabelMap(labels, geometry)


def write_case(folder: Path, seed: int, *, slices: int, matrix: int) -> Case:
    """Write CT and label map as `.nii.gz`; the CT is compressed by zlib, as nibabel and most converters do."""
    import gzip

    from liverspleen.imaging.nifti import write_ct

    ct, label_map = volume(seed, slices=slices, matrix=matrix)
    name = f"case{seed}"
    write_ct(folder / f"{name}.nii", ct)
    with gzip.GzipFile(folder / f"{name}.nii.gz", "wb", compresslevel=6, mtime=0) as handle:
        handle.write((folder / f"{name}.nii").read_bytes())
    (folder / f"{name}.nii").unlink()
    write_label_map(folder / f"{name}_label.nii.gz", label_map)
    return Case(name, name, folder / f"{name}.nii.gz", folder / f"{name}_label.nii.gz")
