"""Augmented samples per second on one core: liverspleen, nnU-Net (batchgeneratorsv2) and MONAI, with equal kinds.

    python benchmarks/training/augmentation.py

All have the effects of `conf/augmentation/nnunet.yaml` on the same batches of samples of three slices in memory, one
thread, in turns. The README in this folder describes it. A library that is not installed is reported and not measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from slices import cached_cases, write_cases
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import machine, versions

from liverspleen.config import compose
from liverspleen.data.augmentation import Augmentation
from liverspleen.data.window import IntensityWindow
from liverspleen.processes import keep_pages

RESULTS = Path(__file__).parents[1] / "results"
WINDOW = IntensityWindow(-150.0, 250.0, clip=True)  # conf/slices/abdomen.yaml
SLICES = 3
BATCH = 8
SAMPLES = 32
OURS = ("nnunet", "strong", "full", "affine")
Samples = tuple[Tensor, Tensor]
"""Intensities (samples, slices, H, W) and labels (samples, H, W)."""


def samples_of(cache: Path) -> Samples:
    """Return windowed samples of three slices around every second slice of the cases."""
    images, labels = [], []
    for case in cached_cases(cache):
        for middle in range(8, 72, 4):
            images.append(WINDOW(torch.from_numpy(np.array(case.slices[middle - 1 : middle + 2]))))
            labels.append(torch.from_numpy(np.array(case.labels[middle])))
    return torch.stack(images[:SAMPLES]), torch.stack(labels[:SAMPLES])


def batches(images: Tensor, labels: Tensor) -> Iterator[Samples]:
    """Yield copies of samples as batches, the same for every pipeline."""
    order = torch.Generator().manual_seed(0)
    while True:
        picked = torch.randint(len(images), (BATCH,), generator=order)
        yield images[picked], labels[picked]


def stacked(samples: list[dict[str, Tensor]], *names: str) -> list[Tensor]:
    """Return the entries of samples as batches."""
    return [torch.stack([sample[name] for sample in samples]) for name in names]


def ours(samples: Samples, choice: str) -> Iterator[int]:
    """Augment batches as the training does, with the values of a choice in `conf/augmentation`."""
    config = compose("train", ["cohort=none.csv", "output=none", f"augmentation={choice}"])
    augmentation = Augmentation(**asdict(config.augmentation))
    for seed, batch in enumerate(batches(*samples)):
        augmentation(*batch, seed=seed)
        yield BATCH


def nnunet(samples: Samples) -> Iterator[int]:
    """Augment samples with the transforms of nnUNetTrainer 2.8.1 for square 2D patches, without mirroring."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform
    from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

    quarter, curve = BGContrast((0.75, 1.25)), BGContrast((0.7, 1.5))
    by_chance: list[tuple[Any, float]] = [
        (GaussianNoiseTransform((0, 0.1), p_per_channel=1, synchronize_channels=True), 0.1),
        (GaussianBlurTransform((0.5, 1.0), False, False, p_per_channel=0.5, benchmark=True), 0.2),
        (MultiplicativeBrightnessTransform(quarter, False, p_per_channel=1), 0.15),
        (ContrastTransform(quarter, True, False, p_per_channel=1), 0.15),
        (SimulateLowResolutionTransform((0.5, 1), False, True, None, None, p_per_channel=0.5), 0.25),
        (GammaTransform(curve, 1, False, 1, 1), 0.1),
        (GammaTransform(curve, 0, False, 1, 1), 0.3),
    ]
    spatial = SpatialTransform(
        tuple(samples[0].shape[-2:]),
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=0.2,
        rotation=(-np.pi, np.pi),
        p_scaling=0.2,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        bg_style_seg_sampling=False,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )
    effects = [RandomTransform(transform, apply_probability=chance) for transform, chance in by_chance]
    chain = ComposeTransforms([spatial, *effects, RemoveLabelTansform(-1, 0)])
    for images, labels in batches(*samples):  # sample by sample, then stacked, as in nnUNetDataLoader
        pairs = zip(images, labels[:, None].to(torch.int16), strict=True)  # labels of nnU-Net are int16
        stacked([chain(image=image, segmentation=label) for image, label in pairs], "image", "segmentation")
        yield BATCH


def monai(samples: Samples) -> Iterator[int]:
    """Augment samples with MONAI's transforms of the same kinds, ranges and probabilities."""
    import monai.transforms as mt

    both = ["image", "label"]
    chain = mt.Compose(
        [
            mt.RandAffined(
                both,
                prob=0.36,  # rotation or scale: 1 - 0.8 * 0.8
                rotate_range=float(np.pi),
                scale_range=((-0.3, 0.4), (-0.3, 0.4)),
                mode=("bilinear", "nearest"),
                padding_mode="border",
            ),
            mt.RandGaussianNoised("image", prob=0.1, std=0.1),
            mt.RandGaussianSmoothd("image", prob=0.1, sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0)),
            mt.RandScaleIntensityd("image", 0.25, prob=0.15),
            mt.RandScaleIntensityFixedMeand("image", prob=0.15, factors=0.25, fixed_mean=True, preserve_range=True),
            mt.RandSimulateLowResolutiond("image", prob=0.125, zoom_range=(0.5, 1.0), upsample_mode="bilinear"),
            mt.RandAdjustContrastd("image", prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
            mt.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), invert_image=False, retain_stats=True),
        ]
    ).set_random_state(0)
    for images, labels in batches(*samples):
        pairs = zip(images, labels[:, None], strict=True)
        stacked([chain({"image": image, "label": label}) for image, label in pairs], *both)
        yield BATCH


def makers(samples: Samples) -> dict[str, Callable[[], Iterator[int]]]:
    """Return the pipelines whose libraries are installed, by name, ours first."""
    found: dict[str, Callable[[], Iterator[int]]] = {
        f"liverspleen, augmentation={choice}": lambda choice=choice: ours(samples, choice) for choice in OURS
    }
    for name, library, make in (("nnU-Net", "batchgeneratorsv2", nnunet), ("MONAI", "monai", monai)):
        if importlib.util.find_spec(library):
            found[f"{name}, same kinds"] = lambda make=make: make(samples)
        else:
            print(f"{name} is not measured: {library} is not installed", flush=True)
    return found


def rates(samples: Samples, *, rounds: int, turn_s: float) -> dict[str, list[float]]:
    """Return samples per second of each round; pipelines run in turns of `turn_s` on one thread."""
    np.random.seed(0)
    torch.manual_seed(0)
    pipelines = {name: make() for name, make in makers(samples).items()}
    found: dict[str, list[float]] = {name: [] for name in pipelines}
    for pipeline in pipelines.values():
        for _ in range(40):  # nnU-Net measures its blurs at first
            next(pipeline)
    for _ in range(rounds):
        for name, pipeline in pipelines.items():
            count, start = 0, time.process_time()
            while time.process_time() - start < turn_s:  # of this process: the machine may do other work
                count += next(pipeline)
            found[name].append(count / (time.process_time() - start))
    return found


def measure(matrix: int, *, rounds: int, turn_s: float) -> dict[str, Any]:
    """Return medians, and the ratio of ours to each other in the same rounds."""
    with tempfile.TemporaryDirectory() as folder:
        write_cases(Path(folder), cases=2, matrix=matrix)
        samples = samples_of(Path(folder))
    found = rates(samples, rounds=rounds, turn_s=turn_s)
    first = found[f"liverspleen, augmentation={OURS[0]}"]
    return {
        name: {
            "median": round(median(values), 1),
            "least": round(min(values), 1),
            "liverspleen_nnunet_over_this": round(median(a / b for a, b in zip(first, values, strict=True)), 2),
        }
        for name, values in found.items()
    }


def main() -> None:
    """Measure, write JSON, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", type=int, nargs="+", default=[256, 512], help="rows and columns of a slice")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each pipeline")
    parser.add_argument("--turn-s", type=float, default=1.5, help="processor seconds of a turn")
    parser.add_argument("--release-pages", action="store_true", help="allocate as the peers do by default")
    parser.add_argument("--output", type=Path, default=RESULTS / "augmentation-cpu.json", help="JSON file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # deprecations of the peers
    if not options.release_pages:
        keep_pages()
    conditions = machine(torch.device("cpu"))
    torch.set_num_threads(1)
    result = {
        "benchmark": "augmentation",
        "machine": conditions,
        "versions": versions(("numpy", "torch", "monai", "batchgeneratorsv2", "nnunetv2")),
        "input": {"slices": SLICES, "batch": BATCH},
        "rounds": options.rounds,
        "pages": "released" if options.release_pages else "kept",
        "samples_per_s_and_core": {},
    }
    for matrix in options.matrix:
        rows = measure(matrix, rounds=options.rounds, turn_s=options.turn_s)
        result["samples_per_s_and_core"][f"{matrix} x {matrix}"] = rows
        for name, row in rows.items():
            ratio = row["liverspleen_nnunet_over_this"]
            print(f"  {matrix} {name:40} {row['median']:8.1f} samples/s, nnunet / this {ratio:5.2f}", flush=True)
    options.output.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
