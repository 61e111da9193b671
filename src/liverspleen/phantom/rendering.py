"""Rendering of solids as a CT: mean over each voxel, blur of the kernel, noise with the kernel's spectrum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from liverspleen.organs import ORGANS
from liverspleen.phantom.anatomy import Anatomy
from liverspleen.phantom.painting import AIR_HU, paint
from liverspleen.phantom.scanner import Acquisition
from liverspleen.phantom.shapes import Field, Grid

_SAMPLE_MM = 1.25  # approximate distance of the samples within a voxel
_CHUNK_SAMPLES = 2_000_000


class PhantomScan(NamedTuple):
    """A rendered scan: CT and label map as (slice, row, column).

    Columns grow to the patient's left, rows to posterior, slices to superior. `affine` maps the NIfTI index (column,
    row, slice) to RAS mm.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]


def render(anatomy: Anatomy, acquisition: Acquisition) -> PhantomScan:
    """Return a scan of the anatomy.

    Every voxel is the mean over its samples, through the slice thickness and over the pixel. It belongs to an organ if
    more than half of its samples do. Voxels that are exactly half filled alternate like the fields of a chessboard, so
    that the volume is unbiased.
    """
    scanner, pixel = acquisition.scanner, acquisition.pixel_mm
    n, thickness = scanner.matrix, scanner.slice_thickness_mm
    in_plane, through = samples_per_voxel(pixel), samples_per_voxel(thickness)
    left, back = (c - acquisition.field_of_view_mm / 2 for c in acquisition.centre_mm)
    x, y = (_samples(start, pixel, n, in_plane) for start in (left, back))
    per_chunk = max(1, _CHUNK_SAMPLES // (x.size * y.size * through))
    hu = np.empty((acquisition.slice_count, n, n), np.float32)
    labels = np.empty(hu.shape, np.uint8)
    for first in range(0, acquisition.slice_count, per_chunk):
        count = min(per_chunk, acquisition.slice_count - first)
        z = _samples(acquisition.bottom_mm + first * thickness, thickness, count, through)
        fine_hu, fine_label = paint(anatomy.solids, Grid.of(x, y, z))
        hu[first : first + count] = _block_sum(fine_hu, through, in_plane) / (through * in_plane**2)
        labels[first : first + count] = majority_labels(fine_label, through, in_plane, first_slice=first)
    hu = _add_blur_and_noise(hu, acquisition)
    rounded = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    affine = np.diag([-pixel, -pixel, thickness, 1.0])
    affine[:3, 3] = (
        left + acquisition.field_of_view_mm - pixel / 2,
        back + acquisition.field_of_view_mm - pixel / 2,
        acquisition.bottom_mm + thickness / 2,
    )
    # the grid ascends along x and y; columns and rows descend
    return PhantomScan(
        np.ascontiguousarray(rounded[:, ::-1, ::-1]), np.ascontiguousarray(labels[:, ::-1, ::-1]), affine
    )


def samples_per_voxel(size_mm: float) -> int:
    """Return the number of samples along one axis of a voxel: even, at least 2.

    >>> [samples_per_voxel(size) for size in (0.7, 1.0, 2.9, 5.0, 8.0)]
    [2, 2, 2, 4, 6]
    """
    return 2 * max(1, round(size_mm / (2 * _SAMPLE_MM)))


def _samples(start: float, size: float, count: int, per_voxel: int) -> NDArray[np.floating]:
    """Return the centres of `per_voxel` equal parts of each of `count` voxels."""
    return start + (np.arange(count * per_voxel) + 0.5) * (size / per_voxel)


def _block_sum(fine: NDArray[np.float32], through: int, in_plane: int) -> Field:
    """Return the sum over the samples of each voxel."""
    depth, rows, columns = fine.shape
    by_slice = fine.reshape(depth // through, through, rows, columns).sum(axis=1)
    by_column = by_slice.reshape(depth // through, rows, columns // in_plane, in_plane).sum(axis=3)
    sums: Field = by_column.reshape(depth // through, rows // in_plane, in_plane, columns // in_plane).sum(axis=2)
    return sums


def majority_labels(fine: NDArray[np.uint8], through: int, in_plane: int, *, first_slice: int = 0) -> NDArray[np.uint8]:
    """Return the label of each voxel: the organ that fills more than half, else background; half-filled ones alternate.

    >>> half = np.zeros((2, 4, 8), np.uint8); half[0] = 1
    >>> majority_labels(half, 2, 2).tolist()
    [[[1, 0, 1, 0], [0, 1, 0, 1]]]
    """
    samples = through * in_plane**2
    shape = (fine.shape[0] // through, fine.shape[1] // in_plane, fine.shape[2] // in_plane)
    labels = np.zeros(shape, np.uint8)
    slice_index, row, column = np.ogrid[: shape[0], : shape[1], : shape[2]]
    parity = (slice_index + first_slice + row + column) % 2
    for turn, organ in enumerate(ORGANS):
        filled = _block_sum((fine == organ).astype(np.float32), through, in_plane)
        labels[(2 * filled > samples) | ((2 * filled == samples) & (parity == turn % 2))] = organ
    return labels


def _add_blur_and_noise(hu: Field, acquisition: Acquisition) -> Field:
    """Return the image with blur and noise of the kernel, and the scanner's offset (not in air)."""
    scanner, pixel = acquisition.scanner, acquisition.pixel_mm
    blur_mm = 0.25 / scanner.kernel_cutoff_per_mm
    image = ndimage.gaussian_filter(hu, sigma=(0, blur_mm / pixel, blur_mm / pixel), mode="nearest", truncate=3.0)
    image += np.float32(scanner.hu_offset) * (image > AIR_HU / 2)
    image += kernel_noise(hu.shape, pixel, scanner.kernel_cutoff_per_mm, acquisition.seed) * np.float32(
        scanner.noise_sd_hu
    )
    return image


def kernel_noise(shape: tuple[int, int, int], pixel_mm: float, cutoff_per_mm: float, seed: tuple[int, ...]) -> Field:
    """Sample noise of unit variance per slice; its power rises linearly and falls beyond the kernel's cut-off.

    Source: the noise power of filtered back projection (Riederer, Pelc, Chesler 1978): |f| times the squared
    apodisation.
    """
    rng = np.random.default_rng(seed)
    fy, fx = fft.fftfreq(shape[1], pixel_mm)[:, None], fft.rfftfreq(shape[2], pixel_mm)[None, :]
    frequency = np.hypot(fy, fx)
    gain = np.sqrt(frequency) * np.exp(-((frequency / cutoff_per_mm) ** 2))
    full = np.hypot(fft.fftfreq(shape[1], pixel_mm)[:, None], fft.fftfreq(shape[2], pixel_mm)[None, :])
    gain /= np.sqrt(np.mean(full * np.exp(-2 * (full / cutoff_per_mm) ** 2)))
    noise = np.empty(shape, np.float32)
    for plane in noise:
        white = rng.standard_normal(shape[1:], np.float32)
        plane[:] = fft.irfft2(fft.rfft2(white) * gain.astype(np.float32), s=shape[1:])
    return noise
