"""Schema of `predict`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from liverspleen.config.cohorts import ROOT, VocabularyConfig
from liverspleen.config.key import MOST_PROCESSES, Key, Schema


@dataclass(frozen=True, kw_only=True)
class PredictConfig(Schema):
    """Keys of `liverspleen predict`."""

    model: Annotated[Path, Key("The model is in this model package (folder or .zip) or checkpoint of a training.")]
    input: Annotated[
        Path, Key("The CT scans are in this NIfTI file, DICOM folder, .zip, folder of these, or cohort.csv.")
    ]
    root: Annotated[Path | None, ROOT]
    output: Annotated[Path, Key("This folder gets <case_id>_dseg.nii.gz and the tables.")]
    datasets: Annotated[list[str], Key("These datasets of a cohort are segmented; all are if empty.")]
    split: Annotated[
        Path | None,
        Key(
            "Only the validation patients of this split are segmented, which is that of the training; all are if empty."
        ),
    ]
    ids: Annotated[
        Literal["hashed", "names"],
        Key("Case ids of DICOM are hashed, or `names` keeps the folder names of a public dataset."),
    ]
    key: Annotated[
        Path | None,
        Key("Hashes use this key file, created if absent; it is in the user's configuration folder if empty."),
    ]
    postprocess: Annotated[
        Literal["model", "none"],
        Key("`model` removes small parts of organs for which the validation of the model showed that it helps."),
    ]
    flips: Annotated[
        bool,
        Key(
            "Predictions are averaged over slices in order and reversed, in twice the time; the review score then "
            "includes their disagreement."
        ),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], Key("`auto` is bf16 on a GPU that has it, and fp32 elsewhere.")
    ]
    engine: Annotated[Literal["torch", "onnxruntime"], Key("`onnxruntime` runs the model.onnx of a model package.")]
    accelerator: Annotated[Literal["auto", "cpu", "gpu"], Key("The network runs on this kind of device.")]
    batch_size: Annotated[
        int | None,
        Key("This number of slices is segmented at once; it is chosen automatically if empty.", ge=1, le=4096),
    ]
    shard: Annotated[str | None, Key("This task segments this shard of the cases, such as 2/8, or all if empty.")]
    workers: Annotated[
        int, Key("The work is done by this number of processes; 0 means one, or one per GPU.", ge=0, le=MOST_PROCESSES)
    ]
    vocabulary: VocabularyConfig
