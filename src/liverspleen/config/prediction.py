"""Schema of `predict`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from liverspleen.config.cohorts import ROOT, VocabularyConfig
from liverspleen.config.key import MOST_PROCESSES, Key, Schema
from liverspleen.errors import Issue


@dataclass(frozen=True, kw_only=True)
class PredictConfig(Schema):
    """Keys of `liverspleen predict`."""

    model: Annotated[
        list[Path],
        Key(
            "Model package (folder or .zip), or checkpoint of a training; `phantom` is the shipped model. The "
            "probabilities of several models (a,b,c), or of the models in an ensemble package, are averaged.",
            is_model=True,
        ),
    ]
    input: Annotated[Path, Key("CT scans: a NIfTI file, DICOM folder, .zip, folder of these, or cohort.csv.")]
    root: Annotated[Path | None, ROOT]
    output: Annotated[Path, Key("Output folder for <case_id>_dseg.nii.gz and the tables.")]
    datasets: Annotated[list[str], Key("Datasets of the cohort to segment; default: all.")]
    split: Annotated[
        Path | None,
        Key(
            "Split with which the model was trained; only its validation patients are segmented. Empty: all "
            "cases are segmented."
        ),
    ]
    series_by: Annotated[
        Literal["uid", "folder"],
        Key(
            "What the files of a DICOM series have in common: `uid`, or `folder` (with plane and matrix) if each file "
            "has a UID of its own."
        ),
    ]
    ids: Annotated[
        Literal["hashed", "names"],
        Key("Form of the case ids of DICOM: hashed, or the folder `names` of a public dataset."),
    ]
    key: Annotated[
        Path | None,
        Key("File with the secret key of the hashed ids; created if missing. Default: in your configuration folder."),
    ]
    postprocess: Annotated[
        Literal["model", "none"],
        Key(
            "Postprocessing: `model` removes small separate parts of the organs for which this improved the "
            "validation results."
        ),
    ]
    flips: Annotated[
        bool,
        Key(
            "If true, each stack of slices is also segmented in reversed order, and both results are "
            "averaged. This takes twice the time; the difference of both results enters the review score."
        ),
    ]
    probabilities: Annotated[
        bool,
        Key(
            "If true, a probability map of each organ is also written, and the sums of the probabilities as "
            "volume_soft_cm3.",
            neutral=False,
        ),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        Key("Numeric precision; `auto` is bf16 on a GPU that supports it, and fp32 elsewhere."),
    ]
    engine: Annotated[
        Literal["torch", "onnxruntime"],
        Key("Program that runs the network; `onnxruntime` runs the model.onnx of a model package."),
    ]
    accelerator: Annotated[Literal["auto", "cpu", "gpu"], Key("Kind of device that runs the network.")]
    batch_size: Annotated[
        int | None,
        Key("Number of slices that are segmented at once; default: chosen automatically.", ge=1, le=4096),
    ]
    shard: Annotated[str | None, Key("Part of the cases for this job, such as 2/8 for part 2 of 8; default: all.")]
    workers: Annotated[int, Key("Number of processes; 0: one, or one per GPU.", ge=0, le=MOST_PROCESSES)]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if there is no model."""
        if not self.model:
            message = "predict needs model=... (a model package or checkpoint)"
            yield Issue("LS-CFG-002", message, "add model=... (liverspleen predict --help)")
