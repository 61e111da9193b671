"""nnU-Net 2D in its own environment: data, plans, trainings, and label maps of the test patients.

The cohort is exported once per training with the split of the training, which is nnU-Net's fold 0. The plans are made
once from all patients, as in a cross-validation by nnU-Net itself, so that batch and patch size are the same in all
trainings; its intensity normalisation therefore uses the test patients, too. The spacing in the plane is `pixel_mm=`.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from plan import NNUNET, START, Cell
from settings import Settings
from trainings import run_clocked, time_of

from liverspleen.cohort import read_cohort
from liverspleen.errors import InputError
from liverspleen.imaging.files import read_grid
from liverspleen.storage import write_json
from liverspleen.studies import invalid_setting, run_command

VERSION: Final = "2.8.1"
NUMBER: Final = "501"
DATASET: Final = f"Dataset{NUMBER}_PublicCT"
PLANS: Final = "nnUNetPlans_public_ct"
TRAINER: Final = "ShortTrainer"
TRAIN: Final = "nnunetv2.run.run_training"
PLAN: Final = (
    "from nnunetv2.experiment_planning.plan_and_preprocess_entrypoints import plan_and_preprocess_entry as plan; plan()"
)
EPOCHS: Final = 50
"""At most. The learning rate changes once per epoch: with 5 epochs of 250 iterations the last fifth of a training would
have 0.23 of the first rate, with 50 epochs of 25 iterations the last fiftieth has 0.03 of it."""


def check(settings: Settings) -> None:
    """Check that `nnunet=` is a Python with the right version of nnU-Net.

    Raises:
        InputError: LS-EXP-014.
    """
    code = "from importlib.metadata import version; print(version('nnunetv2'))"
    try:
        found = subprocess.run([str(settings.nnunet), "-c", code], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        found = "not installed"
    if found.strip() != VERSION:
        message = f"nnunet={settings.nnunet}: version of nnunetv2 is {found.strip()}, expected {VERSION}"
        raise InputError(invalid_setting(message, "give the Python of an environment as in README.md of the study"))


def folder(settings: Settings) -> Path:
    """Return the folder of the data of nnU-Net."""
    return settings.output / "nnunet"


def _preprocessed(settings: Settings) -> Path:
    return folder(settings) / "preprocessed" / DATASET


def variables(settings: Settings, results: Path) -> dict[str, str]:
    """Return the environment variables of nnU-Net."""
    return {
        "nnUNet_raw": str(folder(settings) / "raw"),
        "nnUNet_preprocessed": str(folder(settings) / "preprocessed"),
        "nnUNet_results": str(results),
        "nnUNet_extTrainer": str(Path(__file__).with_name("nnunet_trainer")),
        "nnUNet_def_n_proc": str(settings.threads),
        "PUBLIC_CT_THREADS": str(settings.threads),
        "OMP_NUM_THREADS": str(settings.threads),
        "OMP_WAIT_POLICY": "passive",  # this and the next ones as in our trainings
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "-1",
    }


def export(split: Path, settings: Settings) -> Path:
    """Export the cohort with a split; return the file of the split in the form of nnU-Net."""
    output = folder(settings) / "raw" / DATASET
    keys = ["layout=nnunet", f"cohort={settings.cohort}", f"split={split}", f"output={output}"]
    command = [sys.executable, "-m", "liverspleen", "export", *keys, f"workers={settings.threads}"]
    run_command(command, folder(settings) / "export.txt")
    return output / "splits_final.json"


def prepare(cell: Cell, settings: Settings) -> None:
    """Export the cohort with the split of a training, and make the plans unless they exist.

    Raises:
        InputError: LS-EXP-030, a command failed.
    """
    file = export(cell.split_file(settings), settings)
    own = _preprocessed(settings)
    if not (own / "finished").exists():
        print(f"plan and preprocess {own}", flush=True)
        # the distance of slices is not changed in 2D, but nnU-Net cuts slices along the axis with the largest spacing
        between = median(read_grid(case.image).spacing_mm[0] for case in read_cohort(settings.cohort).cases)
        spacing = [str(max(between, settings.pixel_mm)), *[str(settings.pixel_mm)] * 2]
        number = str(settings.threads)
        options = ["-d", NUMBER, "-c", "2d", "-np", number, "-npfp", number, "-overwrite_target_spacing", *spacing]
        command = [str(settings.nnunet), "-c", PLAN, *options, "-overwrite_plans_name", PLANS, "--no_pbar"]
        run_command(command, folder(settings) / "plan.txt", environment=variables(settings, own))
        (own / "finished").touch()
    shutil.copyfile(file, own / "splits_final.json")


def batch_size(settings: Settings) -> int:
    """Return the batch size of the plans."""
    plans = _preprocessed(settings) / f"{PLANS}.json"
    return int(json.loads(plans.read_text(encoding="utf-8"))["configurations"]["2d"]["batch_size"])


def schedule(iterations: float) -> tuple[int, int]:
    """Return epochs and iterations per epoch: at most `EPOCHS`, with about this number of iterations, at least one.

    >>> schedule(1250.24), schedule(67), schedule(0.2)
    ((50, 25), (34, 2), (1, 1))
    """
    per_epoch = max(1, math.ceil(round(iterations) / EPOCHS))
    return max(1, round(iterations / per_epoch)), per_epoch


def iterations(cell: Cell, settings: Settings) -> float:
    """Return the iterations of a training: those with the slices of ours, or those with the time of ours."""
    equal_slices = settings.slices_seen / batch_size(settings)
    if cell.group.arm == NNUNET:
        return equal_slices
    ours, theirs = (
        time_of(replace(cell, group=replace(cell.group, arm=arm)), settings).counted(settings.device)
        for arm in (START, NNUNET)
    )
    return math.prod(schedule(equal_slices)) * ours / theirs


def train(cell: Cell, settings: Settings) -> None:
    """Run a training, or resume it.

    Raises:
        InputError: LS-EXP-030, a command failed.
    """
    if (cell.folder(settings) / "finished").exists():
        return
    prepare(cell, settings)
    epochs, per_epoch = schedule(iterations(cell, settings))
    length = {"PUBLIC_CT_EPOCHS": str(epochs), "PUBLIC_CT_ITERATIONS": str(per_epoch)}
    cell.folder(settings).mkdir(parents=True, exist_ok=True)
    write_json(cell.folder(settings) / "iterations.json", epochs * per_epoch)
    environment = _trained(cell, settings) | length
    run_clocked(cell, settings, settings.nnunet, TRAIN, [*_arguments(settings), "--c"], **environment)


def segment(cell: Cell, labels: Path, settings: Settings) -> None:
    """Write the label maps of the test patients of a fold: nnU-Net's own prediction of its validation cases.

    Raises:
        InputError: LS-EXP-030, it failed.
    """
    prepare(cell, settings)
    length = {"PUBLIC_CT_EPOCHS": "1", "PUBLIC_CT_ITERATIONS": "1"}
    command = [str(settings.nnunet), "-m", TRAIN, *_arguments(settings), "--val"]
    environment = _trained(cell, settings) | length
    run_command(command, cell.folder(settings) / "log.txt", environment=environment)
    labels.mkdir(parents=True, exist_ok=True)
    split = json.loads((_preprocessed(settings) / "splits_final.json").read_text(encoding="utf-8"))
    results = cell.folder(settings) / "run" / DATASET / f"{TRAINER}__{PLANS}__2d" / "fold_0" / "validation"
    for case_id in split[0]["val"]:
        shutil.copyfile(results / f"{case_id}.nii.gz", labels / f"{case_id}.nii.gz")


def _arguments(settings: Settings) -> list[str]:
    return [NUMBER, "2d", "0", "-tr", TRAINER, "-p", PLANS, "-device", settings.device]


def _trained(cell: Cell, settings: Settings) -> dict[str, str]:
    """Return the environment variables of a training and of its predictions."""
    seed = {"PUBLIC_CT_SEED": str(cell.group.seed)}
    # batches are loaded by the training process, as with trainer=cpu, so that its processor time contains them
    loading = {"nnUNet_n_proc_DA": "0"} if settings.device == "cpu" else {}
    return variables(settings, cell.folder(settings) / "run") | seed | loading
