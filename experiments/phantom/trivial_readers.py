"""Two simple readers without a network, tuned on the development phantoms and tested on the others.

    python experiments/phantom/trivial_readers.py cohort=FOLDER/cohort.csv

They show how difficult the phantoms are: if a density window or a mean position segmented them, the DSS of a network
would mean little. Prints a Markdown table of the mean test DSS and writes no file.

- **threshold**: Gaussian smoothing, a density window, the organ's side of the body, opening by a ball, the largest
  component. Window, smoothing, opening and the reach over the midline are tuned on development cases.
- **atlas**: the mean of the development masks in coordinates of the body: its bounding box in the slice, and along z
  either the whole scan or distances from the lowest slice with lung. Cut-off and coordinates are tuned; each
  development case is segmented by the mean of the others.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverspleen.cohort import Case, read_cohort
from liverspleen.imaging import read_ct, read_label_map
from liverspleen.organs import ORGANS, Structure

Mask = NDArray[np.bool_]
_ATLAS_SHAPE = (96, 96, 96)


@dataclass(frozen=True)
class Scan:
    """A case, cropped to the body's bounding box in the slice."""

    hu: NDArray[np.float32]  # (slice, row, column)
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    lung_base: float  # slice index of the lowest slice with lung


def load(case: Case) -> Scan:
    """Read and crop one case."""
    ct, labels = read_ct(case.image), read_label_map(case.label).labels
    spacing = ct.geometry.spacing_mm
    body = ndimage.binary_opening(ct.hu > -300, structure=np.ones((1, 5, 5)))  # removes the couch and the skin
    parts, _ = ndimage.label(body)
    body = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    rows, columns = (np.nonzero(body.any(axis=axes))[0] for axes in ((0, 2), (0, 1)))
    window = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    hu = ct.hu[window].astype(np.float32)
    inner = ndimage.binary_erosion(np.ones(hu.shape[1:], bool), iterations=hu.shape[1] // 10)
    lung_cm2 = ((hu < -600) & inner).sum(axis=(1, 2)) * spacing[1] * spacing[2] / 100
    with_lung = np.nonzero(lung_cm2 > 15)[0]
    return Scan(hu, labels[window], spacing, float(with_lung[0]) if with_lung.size else float(len(hu)))


def dss(read: Mask, truth: Mask) -> float:
    """Return 2 |A and B| / (|A| + |B|)."""
    return float(2 * np.count_nonzero(read & truth) / max(1, np.count_nonzero(read) + np.count_nonzero(truth)))


@dataclass(frozen=True)
class Threshold:
    """Parameters of the threshold reader."""

    low_hu: float
    high_hu: float
    smoothing_mm: float
    opening_mm: float
    reach_mm: float  # over the midline

    def read(self, scan: Scan, organ: Structure) -> Mask:
        """Return the mask of the organ."""
        # columns run from the patient's right to the left
        columns = scan.hu.shape[2]
        reach = int(np.clip(round(columns / 2 + self.reach_mm / scan.spacing_mm[2]), 2, columns))
        side = np.s_[:, :, :reach] if organ is Structure.LIVER else np.s_[:, :, columns - reach :]
        hu = scan.hu[side]
        if self.smoothing_mm:
            hu = ndimage.gaussian_filter(hu, [self.smoothing_mm / s for s in scan.spacing_mm], truncate=3)
        mask = np.zeros(scan.hu.shape, bool)
        mask[side] = opened_largest((hu >= self.low_hu) & (hu <= self.high_hu), self.opening_mm, scan.spacing_mm)
        return mask


def opened_largest(mask: Mask, radius_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """Return the largest component of the mask after opening by a ball of that radius."""
    edt = ndimage.distance_transform_edt
    core = edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1] > radius_mm if radius_mm else mask
    parts, count = ndimage.label(core)
    opened = np.zeros(mask.shape, bool)
    if not count:
        return opened
    largest = int(np.argmax(np.bincount(parts.ravel())[1:])) + 1
    around = tuple(
        slice(max(0, span.start - int(radius_mm / size) - 1), span.stop + int(radius_mm / size) + 1)
        for span, size in zip(ndimage.find_objects(parts)[largest - 1], spacing_mm, strict=True)
    )
    core = parts[around] == largest
    opened[around] = edt(~core, sampling=spacing_mm) <= radius_mm if radius_mm else core
    return opened


_scans: list[Scan] = []  # of each worker process


def _load_all(cases: list[Case]) -> None:
    _scans.extend(load(case) for case in cases)


def _threshold_dss(reader: Threshold, organ: Structure, index: int) -> float:
    return dss(reader.read(_scans[index], organ), _scans[index].labels == organ)


def tune_threshold(organ: Structure, cases: int, pool: ProcessPoolExecutor) -> Threshold:
    """Return the parameters with the best mean DSS, by coordinate search on half the cases, then on all."""
    half = range(0, cases, 2)
    starts = (
        Threshold(80, 130, 3.0, 6.0, 15.0),
        Threshold(60, 145, 4.5, 12.0, -30.0),
        Threshold(25, 140, 3.0, 19.5, 60.0),
        Threshold(75, 155, 1.5, 10.5, -75.0),
    )
    found = [_climb(start, organ, half, pool) for start in starts]
    best, _ = max(found, key=lambda result: result[1])
    return _climb(best, organ, range(cases), pool)[0]


def _climb(reader: Threshold, organ: Structure, indices: range, pool: ProcessPoolExecutor) -> tuple[Threshold, float]:
    """Change one parameter at a time while the mean DSS increases; return the reader and its mean DSS."""
    steps: dict[str, tuple[float, ...]] = {
        "low_hu": (-20, -10, -5, 5, 10, 20),
        "high_hu": (-20, -10, -5, 5, 10, 20),
        "smoothing_mm": (-1.5, 1.5),
        "opening_mm": (-6, -3, -1.5, 1.5, 3, 6),
        "reach_mm": (-30, -15, 15, 30),
    }
    value, improved = _mean(pool, reader, organ, indices), True
    while improved:
        improved = False
        for name, step in ((n, d) for n, ds in steps.items() for d in ds):
            trial = replace(reader, **{name: getattr(reader, name) + step})
            if min(trial.smoothing_mm, trial.opening_mm) < 0:
                continue
            if (trial_dss := _mean(pool, trial, organ, indices)) > value + 5e-4:
                reader, value, improved = trial, trial_dss, True
    return reader, value


def _mean(pool: ProcessPoolExecutor, reader: Threshold, organ: Structure, indices: range) -> float:
    return float(np.mean(list(pool.map(partial(_threshold_dss, reader, organ), indices, chunksize=2))))


def _to_frame(scan: Scan, values: NDArray[np.float32], *, by_lung: bool) -> NDArray[np.float32]:
    """Resample values of a scan to the coordinates of the atlas."""
    return ndimage.map_coordinates(values, _frame_index(scan, by_lung=by_lung), order=1, mode="constant")


def _frame_index(scan: Scan, *, by_lung: bool) -> NDArray[np.float32]:
    depth, rows, columns = scan.hu.shape
    z = np.linspace(0, depth - 1, _ATLAS_SHAPE[0])
    if by_lung:
        z = scan.lung_base + np.linspace(-160, 130, _ATLAS_SHAPE[0]) / scan.spacing_mm[0]
    axes = (z, np.linspace(0, rows - 1, _ATLAS_SHAPE[1]), np.linspace(0, columns - 1, _ATLAS_SHAPE[2]))
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _from_frame(scan: Scan, atlas: NDArray[np.float32], *, by_lung: bool) -> NDArray[np.float32]:
    """Resample the atlas to the grid of the scan."""
    z = np.arange(scan.hu.shape[0]) * (_ATLAS_SHAPE[0] - 1) / (scan.hu.shape[0] - 1)
    if by_lung:
        z = ((np.arange(scan.hu.shape[0]) - scan.lung_base) * scan.spacing_mm[0] + 160) / 290 * (_ATLAS_SHAPE[0] - 1)
    axes = [z, *(np.linspace(0, n - 1, m) for n, m in zip(_ATLAS_SHAPE[1:], scan.hu.shape[1:], strict=True))]
    index = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    return ndimage.map_coordinates(atlas, index, order=1, mode="constant")


def atlas_dss(development: list[Scan], test: list[Scan], organ: Structure) -> tuple[str, list[float]]:
    """Return the tuned parameters as text, and the DSS of each test case."""
    cuts = np.arange(0.1, 0.9, 0.05)
    found = []
    for by_lung in (False, True):
        masks = [_to_frame(s, (s.labels == organ).astype(np.float32), by_lung=by_lung) for s in development]
        total = np.sum(masks, axis=0)
        others = [(total - mask) / (len(masks) - 1) for mask in masks]
        fields = [_from_frame(s, mean, by_lung=by_lung) for s, mean in zip(development, others, strict=True)]
        for cut in cuts:
            value = np.mean([dss(f >= cut, s.labels == organ) for f, s in zip(fields, development, strict=True)])
            found.append((float(value), by_lung, float(cut), total / len(masks)))
    _, by_lung, cut, atlas = max(found, key=lambda entry: entry[0])
    values = [dss(_from_frame(s, atlas, by_lung=by_lung) >= cut, s.labels == organ) for s in test]
    return f"z by {'lung base' if by_lung else 'scan'}, cut-off {cut:.2f}", values


def main(arguments: list[str]) -> int:
    """Tune both readers on the development cases, segment the test cases, and print the table."""
    if len(arguments) != 1 or not arguments[0].startswith("cohort="):
        print(__doc__)
        return 2
    cases = read_cohort(Path(arguments[0].removeprefix("cohort="))).cases
    ordered = sorted(cases, key=lambda case: not case.is_development)
    scans = [load(case) for case in ordered]
    count = sum(case.is_development for case in ordered)
    development, test = scans[:count], scans[count:]
    print(f"Tuned on {len(development)}, tested on {len(test)} phantoms.\n")
    print("| reader | organ | mean test DSS | lowest to highest | tuned on the development phantoms |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_load_all, initargs=(ordered,)) as pool:
        for organ in ORGANS:
            reader = tune_threshold(organ, count, pool)
            values = list(pool.map(partial(_threshold_dss, reader, organ), range(count, len(ordered))))
            tuned = (
                f"{reader.low_hu:g} to {reader.high_hu:g} HU, smoothing {reader.smoothing_mm:g} mm, opening "
                f"{reader.opening_mm:g} mm, {reader.reach_mm:g} mm over the midline"
            )
            _print_row("threshold", organ, values, tuned)
    for organ in ORGANS:
        tuned, values = atlas_dss(development, test, organ)
        _print_row("atlas", organ, values, tuned)
    return 0


def _print_row(name: str, organ: Structure, values: list[float], tuned: str) -> None:
    low, high = min(values), max(values)
    print(f"| {name} | {organ.key} | {np.mean(values):.3f} | {low:.3f} to {high:.3f} | {tuned} |", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
