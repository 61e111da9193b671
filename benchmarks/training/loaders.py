"""Rate of training samples on one core: our loader, MONAI's CacheDataset and nnU-Net's 2D loader."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from contenders import AUGMENTATION, SLICES, WINDOW
from slices import cached_cases

from liverspleen.data.sampling import natural
from liverspleen.data.slices import Collate, SliceDataset
from liverspleen.organs import ORGANS

Samples = Iterator[int]
"""Yields the number of samples of each batch, after making it."""


def ours(cache: Path, *, batch: int, augmented: bool) -> Samples:
    """Make batches of three slices from the slice cache; HU as int16, or windowed and augmented on the same core."""
    cases, collate = cached_cases(cache), Collate(16)
    dataset = SliceDataset(cases, slices=SLICES)
    order = iter(natural(cases, steps=1_000_000, batch_size=batch, seed=0))
    for index, _ in enumerate(iter(int, 1)):
        stack = collate([dataset[next(order)] for _ in range(batch)])
        if augmented:
            AUGMENTATION(WINDOW(stack.slices), stack.labels, seed=index)
        yield batch


def monai(cache: Path, *, augmented: bool) -> Samples:
    """Make samples with CacheDataset: whole cases, a random crop of three slices, the same augmentation."""
    import monai.transforms as mt
    from monai.data import CacheDataset

    both = ["image", "label"]
    chain: list[Any] = [
        mt.LoadImaged(both, reader="NumpyReader", image_only=True),
        mt.EnsureChannelFirstd(both, channel_dim="no_channel"),
        mt.ScaleIntensityRanged("image", WINDOW.lower_hu, WINDOW.upper_hu, 0.0, 1.0, clip=WINDOW.clip),
        mt.RandSpatialCropd(both, (SLICES, -1, -1), random_size=False),  # the first transform that is not cached
        mt.SqueezeDimd(both, dim=0),
        mt.Lambdad("label", lambda label: label[SLICES // 2 :][:1]),
    ]
    if augmented:
        side = np.load(next(cache.iterdir()) / "labels.npy", mmap_mode="r").shape[-1]
        chain += [
            mt.RandAffined(
                both,
                prob=1.0,
                rotate_range=float(np.deg2rad(AUGMENTATION.rotation_deg)),
                scale_range=(AUGMENTATION.scale,) * 2,
                translate_range=(AUGMENTATION.shift * side,) * 2,
                mode=("bilinear", "nearest"),
                padding_mode="border",
            ),
            mt.RandScaleIntensityd("image", AUGMENTATION.gain, prob=1.0),
            mt.RandShiftIntensityd("image", AUGMENTATION.offset, prob=1.0),
        ]
    files = [{"image": case.folder / "slices.npy", "label": case.folder / "labels.npy"} for case in cached_cases(cache)]
    dataset = CacheDataset(files, mt.Compose(chain), cache_rate=1.0, num_workers=0, progress=False)
    order = np.random.default_rng(0)
    while True:
        dataset[int(order.integers(len(dataset)))]
        yield 1


def nnunet(cache: Path, *, batch: int, augmented: bool, folder: Path) -> Samples:
    """Make batches with nnU-Net's 2D loader, transforms, file format and default crops; one slice, one channel."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(name, str(folder))  # its import reads them
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
    from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
    from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    cases = cached_cases(cache)
    patch = tuple(cases[0].shape[1:])
    folder.mkdir(exist_ok=True)
    for case in cases:
        image, labels = np.array(case.slices, np.float32)[None], np.array(case.labels, np.int8)[None]
        image = (image - image.mean()) / image.std()
        blocks, chunks = comp_blosc2_params(image.shape, patch)
        places = {int(organ): np.argwhere(labels == int(organ))[::50] for organ in ORGANS}
        name = str(folder / case.case_id)
        nnUNetDatasetBlosc2.save_case(image, labels, {"class_locations": places}, name, chunks=chunks, blocks=blocks)
    rotation = (-np.pi, np.pi)  # its value for square 2D patches
    transforms, outer = None, patch
    if augmented:
        outer = get_patch_size(patch, rotation, rotation, rotation, (0.85, 1.25))
        transforms = nnUNetTrainer.get_training_transforms(patch, rotation, None, (0, 1), False, [False])
    labels_of = LabelManager({"background": 0, **{organ.key: int(organ) for organ in ORGANS}}, None)
    data = nnUNetDatasetBlosc2(str(folder), [case.case_id for case in cases])
    loader = nnUNetDataLoader(data, batch, outer, patch, labels_of, 0.33, transforms=transforms)
    while True:
        next(loader)
        yield batch


def loaders(cache: Path, *, batch: int, folder: Path) -> dict[str, Callable[[], Samples]]:
    """Return the loaders whose libraries are installed, by name."""
    found: dict[str, Callable[[], Samples]] = {
        "liverspleen, un-augmented": lambda: ours(cache, batch=batch, augmented=False),
        "liverspleen, augmented": lambda: ours(cache, batch=batch, augmented=True),
        "MONAI CacheDataset, un-augmented": lambda: monai(cache, augmented=False),
        "MONAI CacheDataset, augmented": lambda: monai(cache, augmented=True),
    }
    if importlib.util.find_spec("nnunetv2"):
        found |= {
            "nnU-Net 2D loader, one channel, un-augmented": lambda: nnunet(
                cache, batch=batch, augmented=False, folder=folder / "plain"
            ),
            "nnU-Net 2D loader, one channel, augmented": lambda: nnunet(
                cache, batch=batch, augmented=True, folder=folder / "augmented"
            ),
        }
    return found


def slices_per_s(cache: Path, *, batch: int, rounds: int, turn_s: float) -> dict[str, Any]:
    """Return the median over the rounds of samples per second on one core; loaders run in turns of `turn_s`."""
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # deprecations of the peers
        makers = {name: make() for name, make in loaders(cache, batch=batch, folder=Path(folder)).items()}
        for maker in makers.values():
            next(maker)  # fills caches and reads pages
        for _ in range(rounds):
            for name, maker in makers.items():
                made, start = 0, time.perf_counter()
                while (passed := time.perf_counter() - start) < turn_s:
                    made += next(maker)
                rates.setdefault(name, []).append(made / passed)
        makers.clear()
    return {name: {"median": round(median(r), 2), "least": round(min(r), 2)} for name, r in rates.items()}
