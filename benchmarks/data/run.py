"""Speed of reading, importing and caching CT scans, and of reading random triplets of slices.

    python benchmarks/data/run.py

It uses one thread and gives medians. Contenders run in turns, so other load on the machine affects all of them. It
writes benchmarks/results/data.json and prints it. Peers that are not installed are listed as missing.
"""

# ruff: noqa: E402 - libraries read the number of threads when they are imported
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS"):
    os.environ[variable] = "1"

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from triplets import measure as measure_triplets
from volumes import write_case

import liverspleen
from liverspleen.cohort.manifest import Case
from liverspleen.data.cache import cache_case
from liverspleen.imaging.files import read_ct
from liverspleen.imaging.nifti import write_ct

RESULTS = Path(__file__).parents[1] / "results" / "data.json"
GZIP = 31  # wbits of zlib for gzip


def reading(case: Case, size: int) -> dict[str, Callable[[], object]]:
    """Return contenders that read a file into int16 voxels; limits decompress the same bytes from memory."""
    import nibabel

    cached = case.image.read_bytes()
    found: dict[str, Callable[[], object]] = {
        "liverspleen": lambda: read_ct(case.image).hu,
        "nibabel": lambda: np.asarray(nibabel.nifti1.load(case.image).dataobj),
        "limit: ISA-L, one shot": lambda: isal_zlib.decompressobj(GZIP).decompress(cached, size),
    }
    if importlib.util.find_spec("deflate"):
        import deflate

        found["limit: libdeflate, one shot"] = lambda: deflate.gzip_decompress(cached, size)
    return found


def importing(case: Case, folder: Path, size: int) -> dict[str, Callable[[], object]]:
    """Return contenders that read a file and write another one, as an import does."""
    import nibabel

    cached = case.image.read_bytes()
    whole = isal_zlib.decompress(cached, GZIP)

    def by_nibabel() -> None:
        image = nibabel.nifti1.load(case.image)
        nibabel.save(nibabel.nifti1.Nifti1Image(np.asarray(image.dataobj), image.affine), folder / "peer.nii.gz")

    def limit() -> None:
        isal_zlib.decompressobj(GZIP).decompress(cached, size)
        isal_zlib.compress(whole, 2, GZIP)

    return {
        "liverspleen": lambda: write_ct(folder / "ours.nii.gz", read_ct(case.image)),
        "nibabel": by_nibabel,
        "limit: ISA-L, one shot, both ways": limit,
    }


def preparing(case: Case, folder: Path, size: int) -> dict[str, Callable[[], object]]:
    """Return contenders that write image and label map as arrays; ours checks, hashes and syncs them."""
    import nibabel

    cached = [file.read_bytes() for file in (case.image, case.label) if file is not None]

    def ours() -> None:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        cache_case(case, folder / "cache")

    def by_nibabel() -> None:
        for file, kind in ((case.image, np.int16), (case.label, np.uint8)):
            array = np.asarray(nibabel.nifti1.load(file).dataobj)
            np.save(folder / "peer.npy", np.ascontiguousarray(array.T, dtype=kind))

    def by_nibabel_with_checks() -> None:
        for file, kind in ((case.image, np.int16), (case.label, np.uint8)):
            hashlib.sha256(file.read_bytes())
            array = np.asarray(nibabel.nifti1.load(file).dataobj)
            cached = np.ascontiguousarray(array.T, dtype=kind)
            hashlib.sha256(cached.data)
            with (folder / "peer.npy").open("wb") as handle:
                np.save(handle, cached)
                handle.flush()
                os.fsync(handle.fileno())

    def limit() -> None:
        for content in cached:
            isal_zlib.decompressobj(GZIP).decompress(content, size)

    return {
        "liverspleen": ours,
        "nibabel, np.save": by_nibabel,
        "nibabel, np.save, hashed and synced": by_nibabel_with_checks,
        "limit: ISA-L, both files, one shot": limit,
    }


def megabytes_per_s(contenders: dict[str, Callable[[], object]], size: int, rounds: int) -> dict[str, Any]:
    """Return MB/s of int16 voxels: median, least and most over the rounds after a warm-up."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            if turn:
                rates[name].append(size / 1e6 / (time.perf_counter() - start))
    return {
        name: {"median": round(statistics.median(r), 1), "least": round(min(r), 1), "most": round(max(r), 1)}
        for name, r in rates.items()
    }


def machine() -> dict[str, Any]:
    """Return the properties of the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "logical_cpus": os.cpu_count(),
        "threads_used": 1,
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of liverspleen and its peers."""
    found = {"liverspleen": liverspleen.__version__}
    for name in ("numpy", "isal", "nibabel", "deflate", "blosc2", "nnunetv2", "zarr", "monai", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def ratios(rates: dict[str, Any]) -> dict[str, float]:
    """Return our rate divided by that of each contender."""
    ours = rates["liverspleen"]["median"]
    return {f"ours / {name}": round(ours / r["median"], 2) for name, r in rates.items() if name != "liverspleen"}


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return all results."""
    before = machine()
    shape = {"slices": options.slices, "matrix": options.matrix}
    cases = [write_case(folder, seed, **shape) for seed in range(options.cases)]
    size = 2 * options.slices * options.matrix**2
    content = size + 352  # header and extension flag
    tasks = {
        "read": reading(cases[0], content),
        "import": importing(cases[0], folder, content),
        "prepare": preparing(cases[0], folder, content),
    }
    speeds = {name: megabytes_per_s(task, size, options.rounds) for name, task in tasks.items()}
    cached = [cache_case(case, folder / "triplets") for case in cases]
    triplets = measure_triplets(folder, cached, rounds=options.rounds, turn_s=options.seconds)
    missing = triplets.pop("missing")
    if not importlib.util.find_spec("deflate"):
        missing.append("libdeflate (pip install deflate)")
    return {
        "machine": before,
        "versions": versions(),
        "volume": {**shape, "megabytes": round(size / 1e6, 1), "gzip_ratio": round(size / _size(cases[0]), 2)},
        "cases_for_triplets": options.cases,
        "megabytes_per_s": speeds,
        "ratios": {name: ratios(rates) for name, rates in speeds.items()},
        "triplets": {
            **triplets,
            "ratios_warm": ratios(triplets["warm_per_s"]),
            "ratios_cold": ratios(triplets["cold_per_s"]),
            "cold": "posix_fadvise DONTNEED on every file, before it is opened",
        },
        "missing": missing,
    }


def _size(case: Case) -> int:
    return case.image.stat().st_size


def main() -> None:
    """Measure, write JSON, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=80)
    parser.add_argument("--matrix", type=int, default=512)
    parser.add_argument("--cases", type=int, default=6, help="cases for triplets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of a turn with warm triplets")
    parser.add_argument("--folder", type=Path, help="folder for the files; default: a temporary one")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of the peers
        result = measure(options, Path(folder))
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tables = {**result["megabytes_per_s"], **{k: v for k, v in result["triplets"].items() if k.endswith("per_s")}}
    for task, rates in tables.items():
        print(f"\n{task}" + ("" if task.endswith("per_s") else " (MB/s of int16 voxels)"))
        for name, rate in rates.items():
            print(f"  {name:36} {rate['median']:9.1f}  ({rate['least']:.1f} to {rate['most']:.1f})")
    print("\nfraction of pages in memory when cold:", result["triplets"]["cached_fraction_when_cold"])
    if result["missing"]:
        print("missing:", ", ".join(result["missing"]))


if __name__ == "__main__":
    main()
