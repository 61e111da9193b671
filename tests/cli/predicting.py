"""A trained model and the files that predict writes, for the tests of prediction."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import write_cohort
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure

TABLES = ("measurements.csv", "volumes.csv", "review.csv", "index.html")


TINY = [
    "experiment=phantom",
    "network=unet_2d",
    "network.width=4",
    "network.output_stride=8",
    "trainer.batch_size=8",
    "trainer.steps=40",
]
TINY += ["trainer.validate_every=40"]


def exam(slices: int = 5, seed: int = 0) -> tuple[CTVolume, LabelMap]:
    """Return noise with a brighter box as liver and a small bright box as spleen, different for each seed."""
    labels = np.zeros((slices, 32, 32), np.uint8)
    labels[1:, 8:24, 4:16] = Structure.LIVER
    labels[:-1, 16 : 24 + seed % 4, 20:28] = Structure.SPLEEN
    hu = np.random.default_rng(seed).normal(-40, 15, labels.shape)
    hu += np.select([labels == Structure.LIVER, labels == Structure.SPLEEN], [130, 230])
    geometry = Geometry((32, 32, slices), np.diag([-8.0, -8.0, 20.0, 1.0]))
    return CTVolume(hu.astype(np.int16), geometry), LabelMap(labels, geometry)


def trained(folder: Path, *more: str) -> Path:
    """Train a model that finds such boxes in seconds, with phantom as origin of its cases; return the checkpoint."""
    rows = []
    for seed in range(4):
        case = f"t{seed}"
        drawn = exam(6, 100 + seed)
        write_ct(folder / f"{case}.nii.gz", drawn[0])
        write_label_map(folder / f"{case}_label.nii.gz", drawn[1])
        row = {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "label": f"{case}_label.nii.gz"}
        rows.append({**row, "dataset": "development", "origin": "phantom"})
    write_cohort(folder / "cohort.csv", rows)
    assert main(["train", f"cohort={folder / 'cohort.csv'}", f"output={folder / 'model'}", *TINY, *more]) == 0
    return folder / "model" / "last.ckpt"


def scan(file: Path, *, slices: int = 5, seed: int = 0) -> Path:
    """Write such a CT as NIfTI."""
    write_ct(file, exam(slices, seed)[0])
    return file


def predict(model: Path, source: Path, output: Path, *more: str) -> int:
    return main(["predict", f"model={model}", f"input={source}", f"output={output}", *more])


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def results(folder: Path) -> dict[str, bytes]:
    """Return all files except run records, which have times, and unfinished files of killed runs."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(("run", ".run", ".part-"))
    }


def volumes(folder: Path) -> list[tuple[str, Any]]:
    """Return structure and volume of each row."""
    return sorted((row["structure"], row["volume_cm3"]) for row in rows(folder / "measurements.csv"))
