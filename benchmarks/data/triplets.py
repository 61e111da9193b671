"""Rate of random triplets of slices: our slice cache, nnU-Net's blosc2 files, zarr, MONAI's PersistentDataset."""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverspleen.data.cache import CachedCase

Read = Callable[[int, int], NDArray[np.int16]]
"""Returns a copy of the triplet of a case (index) that starts at a slice (index)."""


def ours(cases: list[CachedCase]) -> Read:
    """Return a reader of the memory maps that a training reads, kept open; a triplet is one copy."""
    fresh = [CachedCase(c.case_id, c.patient_id, c.folder, c.shape, c.voxels_sha256) for c in cases]

    def read(case: int, first: int) -> NDArray[np.int16]:
        fresh[case].announce(first, first + 2)
        return np.array(fresh[case].slices[first : first + 3])

    return read


def _voxels(case: CachedCase) -> NDArray[np.int16]:
    """Return the voxels of a case without a memory map, because mapped pages cannot be dropped."""
    found: NDArray[np.int16] = np.load(case.folder / "slices.npy")
    return found


def write_blosc2(folder: Path, cases: list[CachedCase]) -> None:
    """Write cases as nnU-Net's preprocessing of a 2D plan does; int16 here, half the size of its float32."""
    from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2

    folder.mkdir()
    for case in cases:
        data, patch = _voxels(case)[None], case.shape[1:]
        blocks, chunks = comp_blosc2_params(data.shape, patch, bytes_per_pixel=2)
        segmentation = np.load(case.folder / "labels.npy")[None].astype(np.int8)
        target = str(folder / case.case_id)
        nnUNetDatasetBlosc2.save_case(data, segmentation, {}, target, chunks=chunks, blocks=blocks)


def blosc2(folder: Path, cases: list[CachedCase]) -> Read:
    """Return a reader that opens the file for each sample, as nnU-Net's loader does."""
    import blosc2 as library

    library.set_nthreads(1)
    files = [str(folder / f"{case.case_id}.b2nd") for case in cases]

    def read(case: int, first: int) -> NDArray[np.int16]:
        array = library.open(urlpath=files[case], mode="r", dparams={"nthreads": 1}, mmap_mode="r")
        return np.asarray(array[0, first : first + 3])

    return read


def blosc2_kept_open(folder: Path, cases: list[CachedCase]) -> Read:
    """Return a reader of the same files, each opened once."""
    import blosc2 as library

    library.set_nthreads(1)
    opened = [
        library.open(urlpath=str(folder / f"{case.case_id}.b2nd"), mode="r", dparams={"nthreads": 1}, mmap_mode="r")
        for case in cases
    ]
    return lambda case, first: np.asarray(opened[case][0, first : first + 3])


def write_zarr(folder: Path, cases: list[CachedCase], *, raw: bool) -> None:
    """Write zarr version 3 with one chunk per slice: uncompressed, or with zstd (the default) and a shard per case."""
    import zarr

    for case in cases:
        layout: dict[str, Any] = {"compressors": None} if raw else {"shards": case.shape}
        array = zarr.create_array(
            cache=str(folder / case.case_id),
            shape=case.shape,
            dtype="int16",
            chunks=(1, *case.shape[1:]),
            zarr_format=3,
            **layout,
        )
        array[:] = _voxels(case)


def zarr_arrays(folder: Path, cases: list[CachedCase]) -> Read:
    """Return a reader of the zarr arrays, each opened once."""
    import zarr

    opened = [zarr.open_array(str(folder / case.case_id), mode="r") for case in cases]
    return lambda case, first: np.asarray(opened[case][first : first + 3])


def monai(folder: Path, cases: list[CachedCase]) -> Read:
    """Return a reader that loads the `.pt` file of a whole case with PersistentDataset, and copies a triplet of it."""
    from monai.data import PersistentDataset
    from monai.transforms import Compose, LoadImaged

    files = [{"image": case.folder / "slices.npy"} for case in cases]
    chain = Compose([LoadImaged("image", reader="NumpyReader", image_only=True)])
    dataset = PersistentDataset(files, chain, cache_dir=folder)
    if not folder.exists() or len(list(folder.iterdir())) < len(cases):
        for case in range(len(cases)):
            dataset[case]  # fills the cache
    return lambda case, first: np.array(dataset[case]["image"][first : first + 3])


def contenders(folder: Path, cases: list[CachedCase]) -> tuple[dict[str, tuple[Path, Callable[[], Read]]], list[str]]:
    """Return the files of each contender and a function that opens them, by name; and the missing peers."""
    found: dict[str, tuple[Path, Callable[[], Read]]] = {
        "liverspleen": (cases[0].folder.parent, lambda: ours(cases)),
    }
    missing = []
    if importlib.util.find_spec("nnunetv2"):
        write_blosc2(folder / "blosc2", cases)
        found["nnU-Net blosc2, opened each time"] = folder / "blosc2", lambda: blosc2(folder / "blosc2", cases)
        found["nnU-Net blosc2, kept open"] = folder / "blosc2", lambda: blosc2_kept_open(folder / "blosc2", cases)
    else:
        missing.append("nnU-Net")
    if importlib.util.find_spec("zarr"):
        for name, raw in (("zarr v3, sharded, zstd", False), ("zarr v3, raw chunks", True)):
            files = folder / name.replace(", ", "-").replace(" ", "-")
            write_zarr(files, cases, raw=raw)
            found[name] = files, lambda files=files: zarr_arrays(files, cases)  # type: ignore[misc]
    else:
        missing.append("zarr")
    if importlib.util.find_spec("monai"):
        files = folder / "persistent"
        found["MONAI PersistentDataset"] = files, lambda files=files: monai(files, cases)  # type: ignore[misc]
    else:
        missing.append("MONAI")
    return found, missing


def rate(read: Read, shapes: list[tuple[int, ...]], *, seed: int, turn_s: float) -> float:
    """Return random triplets per second; all contenders read the same order."""
    rng = np.random.default_rng(seed)
    cases = rng.integers(0, len(shapes), 1 << 16).tolist()
    firsts = rng.random(1 << 16).tolist()
    made, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < turn_s:
        case = cases[made % len(cases)]
        read(case, int(firsts[made % len(firsts)] * (shapes[case][0] - 2)))
        made += 1
    return made / passed


def copies_per_s(shape: tuple[int, ...], *, turn_s: float) -> float:
    """Return the limit: triplets per second copied in memory, from an array larger than the caches of the processor."""
    source = np.ones((256, *shape[1:]), np.int16)
    order = np.random.default_rng(0).integers(0, 253, 1 << 12).tolist()
    made, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < turn_s:
        first = order[made % len(order)]
        np.array(source[first : first + 3])
        made += 1
    return made / passed


def drop_pages(folder: Path) -> None:
    """Drop the pages of all files from memory; the kernel keeps those that are mapped or not yet on disk."""
    for file in (file for file in folder.rglob("*") if file.is_file()):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def resident_fraction(folder: Path) -> float:
    """Return the fraction of the files' pages that are in memory, by `mincore`."""
    libc, page, pages, in_memory = ctypes.CDLL(None), mmap.PAGESIZE, 0, 0
    for file in (file for file in folder.rglob("*") if file.is_file() and file.stat().st_size):
        with file.open("rb") as handle, mmap.mmap(handle.fileno(), 0, mmap.MAP_PRIVATE) as view:
            count = -(-len(view) // page)
            states = (ctypes.c_ubyte * count)()
            start = ctypes.addressof(ctypes.c_char.from_buffer(view))
            libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(len(view)), states)
            pages, in_memory = pages + count, in_memory + sum(state & 1 for state in states)
    return in_memory / max(pages, 1)


def measure(folder: Path, cases: list[CachedCase], *, rounds: int, turn_s: float) -> dict[str, Any]:
    """Return medians over rounds in which contenders run in turns: warm, and after their pages were dropped."""
    found, missing = contenders(folder, cases)
    shapes = [case.shape for case in cases]
    warm: dict[str, list[float]] = {}
    cold: dict[str, list[float]] = {}
    remaining: dict[str, float] = {}
    readers = {name: maker() for name, (_, maker) in found.items()}
    for read in readers.values():  # read the pages
        rate(read, shapes, seed=rounds, turn_s=turn_s)
    for turn in range(rounds):
        for name, read in readers.items():
            warm.setdefault(name, []).append(rate(read, shapes, seed=turn, turn_s=turn_s))
        warm.setdefault("limit: copy in memory", []).append(copies_per_s(shapes[0], turn_s=turn_s))
    readers.clear()
    del read
    for turn in range(rounds):
        for name, (files, maker) in found.items():
            drop_pages(files)
            remaining[name] = max(remaining.get(name, 0.0), resident_fraction(files))
            # triplets of a tenth of the data, so few pages are read twice
            cold.setdefault(name, []).append(_cold_rate(maker(), shapes, seed=turn))
    return {
        "warm_per_s": {name: _summary(rates) for name, rates in warm.items()},
        "cold_per_s": {name: _summary(rates) for name, rates in cold.items()},
        "cached_fraction_when_cold": {name: round(fraction, 4) for name, fraction in remaining.items()},
        "missing": missing,
    }


def _cold_rate(read: Read, shapes: list[tuple[int, ...]], *, seed: int) -> float:
    rng = np.random.default_rng(seed)
    number = max(sum(shape[0] for shape in shapes) // 30, 4)
    start = time.perf_counter()
    for case in rng.integers(0, len(shapes), number).tolist():
        read(case, int(rng.integers(0, shapes[case][0] - 2)))
    return number / (time.perf_counter() - start)


def _summary(rates: list[float]) -> dict[str, float]:
    return {"median": round(median(rates), 1), "least": round(min(rates), 1), "most": round(max(rates), 1)}
