"""Speed of overlap, surface metrics and connected parts beside their peers: python benchmarks/evaluation/run.py.

One thread; contenders take turns, so that whatever else the machine does meets all of them; medians. Writes
benchmarks/results/evaluation.json and prints it as tables. Peers that are not installed are named as missing.
"""

# ruff: noqa: E402 - the number of threads is set before the libraries are loaded that read it
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
    """DSS and the volumes by both readers."""
    answer: Answer = {}
    for organ, overlap in overlaps(test.labels, reference.labels).items():
        voxel_cm3 = reference.geometry.voxel_volume_mm3 / 1000
        answer[f"{organ.key} dss"] = overlap.dss or 0.0
        answer[f"{organ.key} test cm3"] = overlap.first_voxels * voxel_cm3
        answer[f"{organ.key} reference cm3"] = overlap.second_voxels * voxel_cm3
    return answer


def ours_surface(test: LabelMap, reference: LabelMap, definition: Any) -> Answer:
    """HD95, ASSD and NSD."""
    found = organ_surface_distances(test, reference, tolerance_mm=TOLERANCE_MM, definition=definition)
    return {
        f"{organ.key} {name}": getattr(result, name)
        for organ, result in found.items()
        for name in ("hd95_mm", "assd_mm", "nsd")
    }


def monai_overlap(test: Labels, reference: Labels) -> Answer:
    """DSS by DiceMetric from label maps."""
    import torch
    from monai.metrics import DiceMetric

    metric = DiceMetric(include_background=False, reduction="none", num_classes=len(ORGANS) + 1)
    dice = metric(torch.from_numpy(test)[None, None], torch.from_numpy(reference)[None, None])
    return {f"{organ.key} dss": float(dice[0, i]) for i, organ in enumerate(ORGANS)}


def monai_surface(test: Labels, reference: Labels) -> Answer:
    """HD95, ASSD and NSD by the three metrics, one-hot made the cheapest way."""
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
    """HD95, ASSD and NSD from one set of distances per organ; ASSD weighted over both directions."""
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
    """All parts of both organs; voxels of the largest."""
    return {f"{organ.key} largest": float(components(label_map, organ).voxels[0]) for organ in ORGANS}


def scipy_parts(labels: Labels) -> Answer:
    """The same by scipy on the whole volume."""
    from scipy import ndimage

    answer: Answer = {}
    for organ in ORGANS:
        numbered, _ = ndimage.label(labels == int(organ), structure=np.ones((3, 3, 3), bool))
        answer[f"{organ.key} largest"] = float(np.bincount(numbered.ravel())[1:].max())
    return answer


def monai_parts(labels: Labels) -> Answer:
    """The label map of both largest parts by MONAI's transform."""
    import torch
    from monai.transforms import KeepLargestConnectedComponent

    keep = KeepLargestConnectedComponent([int(organ) for organ in ORGANS], independent=True, connectivity=3)
    kept = keep(torch.from_numpy(labels)[None])[0]
    return {f"{organ.key} largest": float((kept == int(organ)).sum()) for organ in ORGANS}


def ours_files(folder: Path) -> Answer:
    """Everything by the voxel definition, from two compressed files."""
    test, reference = (read_label_map(folder / name) for name in ("test.nii.gz", "reference.nii.gz"))
    return ours_overlap(test, reference) | ours_surface(test, reference, "voxel")


def peer_files(folder: Path) -> Answer:
    """The same with nibabel and MONAI."""
    import nibabel

    test, reference = (
        # nibabel's axes are (column, row, slice); as they lie in memory they are slices
        np.asarray(nibabel.load(folder / name).dataobj).T
        for name in ("test.nii.gz", "reference.nii.gz")
    )
    return monai_overlap(test, reference) | monai_surface(test, reference)


def read_once(test: Labels, reference: Labels) -> Answer:
    """The physical limit: every byte of both arrays once through the core; it answers nothing."""
    for labels in (test, reference):
        np.bitwise_or.reduce(labels.view(np.uint64), axis=None)
    return {}


def take_turns(contenders: dict[str, Callable[[], Answer]]) -> tuple[dict[str, Any], dict[str, Answer]]:
    """Seconds of each contender over the rounds (the first is a warm-up), and its answers."""
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
    """Largest relative difference of the answers that both give."""
    return max(abs(one[name] / other[name] - 1) for name in one.keys() & other.keys())


def machine() -> dict[str, Any]:
    """What the times depend on."""
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
    """Versions of everything that was timed."""
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
    """The whole benchmark."""
    before = machine()
    has = {name: importlib.util.find_spec(module) is not None for name, (module, _) in PEERS.items()}
    if has["MONAI"]:
        import torch

        torch.set_num_threads(1)
    test, reference = label_pair()
    geometry = Geometry(SHAPE[::-1], np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0]))
    maps = LabelMap(test, geometry), LabelMap(reference, geometry)

    contests: dict[str, dict[str, Callable[[], Answer]]] = {
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
    if has["MONAI"]:
        if importlib.util.find_spec("skimage") is not None:  # which MONAI's transform asks for
            contests["connected_parts"]["MONAI"] = lambda: monai_parts(test)
        contests["dss_and_volumes"]["MONAI"] = lambda: monai_overlap(test, reference)
        contests["surface_distances"]["MONAI"] = lambda: monai_surface(test, reference)
    if has["surface-distance"]:
        contests["surface_distances"]["surface-distance"] = lambda: surface_distance(test, reference)

    times: dict[str, Any] = {}
    answers: dict[str, dict[str, Answer]] = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers' own deprecations
        for name, label_map in zip(("test", "reference"), maps, strict=True):
            write_label_map(Path(folder) / f"{name}.nii.gz", label_map)
        contests["from_two_nii_gz"] = {"liverspleen": lambda: ours_files(Path(folder))}
        if has["MONAI"] and importlib.util.find_spec("nibabel") is not None:
            contests["from_two_nii_gz"]["nibabel + MONAI"] = lambda: peer_files(Path(folder))
        for contest, contenders in contests.items():
            times[contest], answers[contest] = take_turns(contenders)
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
        "missing": [name for name, there in has.items() if not there],
        "times": times,
        "ratios": ratios(times),
        "largest_relative_difference": differences(answers),
        "answers": answers,
    }


OURS = {"MONAI": "liverspleen, voxel", "surface-distance": "liverspleen, area"}
"""Which definition of ours is that of the peer."""


def ratios(times: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Median of a peer over ours: how many times as fast we are; at the limit, below 1."""
    found: dict[str, dict[str, float]] = {}
    for contest, contenders in times.items():
        ours = [name for name in contenders if name.startswith("liverspleen")]
        found[contest] = {
            f"{peer} / {own}": round(contenders[peer]["median_s"] / contenders[own]["median_s"], 3)
            for own in ours
            for peer in contenders
            if peer not in ours
        }
    return found


def differences(answers: dict[str, dict[str, Answer]]) -> dict[str, float]:
    """Answers of the peers beside ours of the same definition."""
    found = {}
    for contest, contenders in answers.items():
        for peer, answer in contenders.items():
            own = contenders.get(OURS.get(peer, ""), contenders.get("liverspleen"))
            if own is not None and own is not answer and not peer.startswith("limit"):
                found[f"{contest}: {peer}"] = largest_difference(own, answer)
    return found


def main() -> None:
    """Measure, write, print."""
    result = measure()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for contest, contenders in result["times"].items():
        print(f"\n{contest}")
        for name, seconds in contenders.items():
            print(f"  {name:30} {1000 * seconds['median_s']:9.1f} ms  (least {1000 * seconds['min_s']:.1f})")
        for pair, ratio in result["ratios"][contest].items():
            print(f"  {pair:50} {ratio:8.2f}")
    print("\nlargest relative difference of the answers:", result["largest_relative_difference"])
    if result["missing"]:
        print("missing peers:", ", ".join(result["missing"]))


if __name__ == "__main__":
    main()
