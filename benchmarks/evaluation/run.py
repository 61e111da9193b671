"""Speed of overlap, surface metrics and connected components, compared with peers.

    python benchmarks/evaluation/run.py

It uses one thread and gives medians. Contenders run in turns, so other load on the machine affects all of them. It
writes benchmarks/results/evaluation.json and prints tables. Peers that are not installed are listed as missing.
"""

# ruff: noqa: E402 - libraries read the number of threads when they are imported
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import importlib.metadata
import importlib.util
import json
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom import SHAPE, SPACING_MM, label_pair

import liverspleen
from liverspleen.evaluation.metrics.connected_components import components
from liverspleen.evaluation.metrics.overlap import overlaps
from liverspleen.evaluation.metrics.surface import organ_surface_distances
from liverspleen.imaging import Geometry, LabelMap, read_label_map, write_label_map
from liverspleen.organs import ORGANS

RESULTS = Path(__file__).parents[1] / "results" / "evaluation.json"
ROUNDS = 5
TOLERANCE_MM = 2.0
PEERS = {"MONAI": ("monai", "monai"), "surface-distance": ("surface_distance", "surface-distance-based-measures")}
"""Import name and distribution of each peer."""

Labels = NDArray[np.uint8]
Answer = dict[str, float]


def ours_overlap(test: LabelMap, reference: LabelMap) -> Answer:
    """Return DSS, and the volumes by both readers."""
    answer: Answer = {}
    for organ, overlap in overlaps(test.labels, reference.labels).items():
        voxel_cm3 = reference.geometry.voxel_volume_mm3 / 1000
        answer[f"{organ.key} dss"] = overlap.dss or 0.0
        answer[f"{organ.key} test cm3"] = overlap.first_voxels * voxel_cm3
        answer[f"{organ.key} reference cm3"] = overlap.second_voxels * voxel_cm3
    return answer


def ours_surface(test: LabelMap, reference: LabelMap, definition: Any) -> Answer:
    """Return HD95, ASSD and NSD."""
    found = organ_surface_distances(test, reference, tolerance_mm=TOLERANCE_MM, definition=definition)
    return {
        f"{organ.key} {name}": getattr(result, name)
        for organ, result in found.items()
        for name in ("hd95_mm", "assd_mm", "nsd")
    }


def monai_overlap(test: Labels, reference: Labels) -> Answer:
    """Return DSS by DiceMetric from label maps."""
    import torch
    from monai.metrics import DiceMetric

    metric = DiceMetric(include_background=False, reduction="none", num_classes=len(ORGANS) + 1)
    dice = metric(torch.from_numpy(test)[None, None], torch.from_numpy(reference)[None, None])
    return {f"{organ.key} dss": float(dice[0, i]) for i, organ in enumerate(ORGANS)}


def monai_surface(test: Labels, reference: Labels) -> Answer:
    """Return HD95, ASSD and NSD by the three metrics, with the fastest one-hot encoding."""
    import torch
    from monai.metrics import HausdorffDistanceMetric, SurfaceDiceMetric, SurfaceDistanceMetric

    one_hot = [torch.from_numpy(np.stack([labels == c for c in range(3)])[None]) for labels in (test, reference)]
    metrics = {
        "hd95_mm": HausdorffDistanceMetric(percentile=95, reduction="none"),
        "assd_mm": SurfaceDistanceMetric(symmetric=True, reduction="none"),
        "nsd": SurfaceDiceMetric([TOLERANCE_MM] * len(ORGANS), reduction="none"),
    }
    values = {name: metric(*one_hot, spacing=SPACING_MM) for name, metric in metrics.items()}
    return {
        f"{organ.key} {name}": float(value[0, i]) for i, organ in enumerate(ORGANS) for name, value in values.items()
    }


def surface_distance(test: Labels, reference: Labels) -> Answer:
    """Return HD95, ASSD and NSD from one set of distances per organ; ASSD is weighted over both directions."""
    import surface_distance as peer

    answer: Answer = {}
    for organ in ORGANS:
        distances = peer.compute_surface_distances(reference == int(organ), test == int(organ), SPACING_MM)
        areas = distances["surfel_areas_gt"].sum(), distances["surfel_areas_pred"].sum()
        answer[f"{organ.key} hd95_mm"] = float(peer.compute_robust_hausdorff(distances, 95))
        means = peer.compute_average_surface_distance(distances)
        answer[f"{organ.key} assd_mm"] = float(np.average(means, weights=areas))
        answer[f"{organ.key} nsd"] = float(peer.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM))
    return answer


def ours_parts(label_map: LabelMap) -> Answer:
    """Return the voxels of the largest component, from all components of both organs."""
    return {f"{organ.key} largest": float(components(label_map, organ).voxels[0]) for organ in ORGANS}


def scipy_parts(labels: Labels) -> Answer:
    """Return the same by scipy on the whole volume."""
    from scipy import ndimage

    answer: Answer = {}
    for organ in ORGANS:
        numbered, _ = ndimage.label(labels == int(organ), structure=np.ones((3, 3, 3), bool))
        answer[f"{organ.key} largest"] = float(np.bincount(numbered.ravel())[1:].max())
    return answer


def monai_parts(labels: Labels) -> Answer:
    """Return the same from the label map of the largest components, by MONAI's transform."""
    import torch
    from monai.transforms import KeepLargestConnectedComponent

    keep = KeepLargestConnectedComponent([int(organ) for organ in ORGANS], independent=True, connectivity=3)
    kept = keep(torch.from_numpy(labels)[None])[0]
    return {f"{organ.key} largest": float((kept == int(organ)).sum()) for organ in ORGANS}


def ours_files(folder: Path) -> Answer:
    """Return all metrics by the voxel definition, from two compressed files."""
    test, reference = (read_label_map(folder / name) for name in ("test.nii.gz", "reference.nii.gz"))
    return ours_overlap(test, reference) | ours_surface(test, reference, "voxel")


def peer_files(folder: Path) -> Answer:
    """Return the same with nibabel and MONAI."""
    import nibabel

    test, reference = (
        # nibabel's axes are (column, row, slice)
        np.asarray(nibabel.load(folder / name).dataobj).T
        for name in ("test.nii.gz", "reference.nii.gz")
    )
    return monai_overlap(test, reference) | monai_surface(test, reference)


def read_once(test: Labels, reference: Labels) -> Answer:
    """Read every byte of both arrays once: the physical limit; it returns no metrics."""
    for labels in (test, reference):
        np.bitwise_or.reduce(labels.view(np.uint64), axis=None)
    return {}


def timed(contenders: dict[str, Callable[[], Answer]]) -> tuple[dict[str, Any], dict[str, Answer]]:
    """Return the seconds of each contender over the rounds, after a warm-up, and its answers."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    answers: dict[str, Answer] = {}
    for _ in range(ROUNDS + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            answers[name] = contender()
            seconds[name].append(time.perf_counter() - start)
    times = {name: {"median_s": statistics.median(s[1:]), "min_s": min(s[1:])} for name, s in seconds.items()}
    return times, answers


def largest_difference(one: Answer, other: Answer) -> float:
    """Return the largest relative difference of the common answers."""
    return max(abs(one[name] / other[name] - 1) for name in one.keys() & other.keys())


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
    names = [
        "numpy",
        "scipy",
        "nibabel",
        "torch",
        *(distribution for _, distribution in PEERS.values()),
    ]
    found = {"liverspleen": liverspleen.__version__}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def measure() -> dict[str, Any]:
    """Return all results."""
    before = machine()
    installed = {name: importlib.util.find_spec(module) is not None for name, (module, _) in PEERS.items()}
    if installed["MONAI"]:
        import torch

        torch.set_num_threads(1)
    test, reference = label_pair()
    geometry = Geometry(SHAPE[::-1], np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0]))
    maps = LabelMap(test, geometry), LabelMap(reference, geometry)

    tasks: dict[str, dict[str, Callable[[], Answer]]] = {
        "dss_and_volumes": {
            "liverspleen": lambda: ours_overlap(*maps),
            "limit: both arrays read once": lambda: read_once(test, reference),
        },
        "surface_distances": {
            "liverspleen, voxel": lambda: ours_surface(*maps, "voxel"),
            "liverspleen, area": lambda: ours_surface(*maps, "area"),
        },
        "connected_parts": {
            "liverspleen": lambda: ours_parts(maps[0]),
            "scipy.ndimage.label": lambda: scipy_parts(test),
            "limit: one array read once": lambda: read_once(test, test[:0]),
        },
    }
    if installed["MONAI"]:
        if importlib.util.find_spec("skimage") is not None:  # MONAI's transform needs it
            tasks["connected_parts"]["MONAI"] = lambda: monai_parts(test)
        tasks["dss_and_volumes"]["MONAI"] = lambda: monai_overlap(test, reference)
        tasks["surface_distances"]["MONAI"] = lambda: monai_surface(test, reference)
    if installed["surface-distance"]:
        tasks["surface_distances"]["surface-distance"] = lambda: surface_distance(test, reference)

    times: dict[str, Any] = {}
    answers: dict[str, dict[str, Answer]] = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of the peers
        for name, label_map in zip(("test", "reference"), maps, strict=True):
            write_label_map(Path(folder) / f"{name}.nii.gz", label_map)
        tasks["from_two_nii_gz"] = {"liverspleen": lambda: ours_files(Path(folder))}
        if installed["MONAI"] and importlib.util.find_spec("nibabel") is not None:
            tasks["from_two_nii_gz"]["nibabel + MONAI"] = lambda: peer_files(Path(folder))
        for task, contenders in tasks.items():
            times[task], answers[task] = timed(contenders)
    return {
        "benchmark": "evaluation",
        "input": {
            "shape": SHAPE,
            "spacing_mm": SPACING_MM,
            "dtype": "uint8",
            "tolerance_mm": TOLERANCE_MM,
            "liver_l": 1.5,
            "spleen_l": 0.25,
            "false_islands": 12,
        },
        "rounds": ROUNDS,
        "machine": before,
        "versions": versions(),
        "missing": [name for name, found in installed.items() if not found],
        "times": times,
        "ratios": ratios(times),
        "largest_relative_difference": differences(answers),
        "answers": answers,
    }


OURS = {"MONAI": "liverspleen, voxel", "surface-distance": "liverspleen, area"}
"""Our contender that uses the definition of the peer."""


def ratios(times: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the median time of each peer divided by ours; for a limit it is below 1."""
    found: dict[str, dict[str, float]] = {}
    for task, contenders in times.items():
        ours = [name for name in contenders if name.startswith("liverspleen")]
        found[task] = {
            f"{peer} / {own}": round(contenders[peer]["median_s"] / contenders[own]["median_s"], 3)
            for own in ours
            for peer in contenders
            if peer not in ours
        }
    return found


def differences(answers: dict[str, dict[str, Answer]]) -> dict[str, float]:
    """Return the largest relative difference of the answers of each peer from ours by the same definition."""
    found = {}
    for task, contenders in answers.items():
        for peer, answer in contenders.items():
            own = contenders.get(OURS.get(peer, ""), contenders.get("liverspleen"))
            if own is not None and own is not answer and not peer.startswith("limit"):
                found[f"{task}: {peer}"] = largest_difference(own, answer)
    return found


def main() -> None:
    """Measure, write JSON, and print."""
    result = measure()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for task, contenders in result["times"].items():
        print(f"\n{task}")
        for name, seconds in contenders.items():
            print(f"  {name:30} {1000 * seconds['median_s']:9.1f} ms  (least {1000 * seconds['min_s']:.1f})")
        for pair, ratio in result["ratios"][task].items():
            print(f"  {pair:50} {ratio:8.2f}")
    print("\nlargest relative difference of the answers:", result["largest_relative_difference"])
    if result["missing"]:
        print("missing peers:", ", ".join(result["missing"]))


if __name__ == "__main__":
    main()
