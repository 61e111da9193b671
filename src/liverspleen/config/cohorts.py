"""Schemas of the verbs that make, read, check and split cohorts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from liverspleen.config.key import LARGEST_SEED, MOST_PROCESSES, Key, Schema, conflict
from liverspleen.errors import Issue

MOST_PHANTOMS: Final = 100_000
COHORT: Final = Key("The cases are in this cohort.csv, or in this folder of images.")
ROOT: Final = Key("Paths in the cohort are relative to this folder, or to its own folder if empty.")
PROCESSES: Final = Key("The work is done by this number of processes; 0 means one per core.", ge=0, le=MOST_PROCESSES)


@dataclass(frozen=True, kw_only=True)
class VocabularyConfig(Schema):
    """Values that the columns `dataset`, `condition` and `site` of a cohort may have, in the order of the tables."""

    datasets: Annotated[
        list[str],
        Key(
            "`dataset` has one of these values; only `development` is used for training. Of the others the first is "
            "that of Tables 2 and 3, the second that of Table 4."
        ),
    ]
    conditions: Annotated[list[str], Key("`condition` has one of these values, in the order of the tables.")]
    sites: Annotated[
        list[str], Key("`site` has one of these values; the first two are those of the two CT scans of a patient.")
    ]
    labels: Annotated[
        dict[str, str],
        Key("Tables and figures print these labels instead of the values; a value without a label is printed as is."),
    ] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PhantomConfig(Schema):
    """Keys of `liverspleen phantom`."""

    output: Annotated[
        Path,
        Key("This folder gets images/, labels/, cohort.csv and truth.csv; or dicom/, covariates.csv and truth.csv."),
    ]
    format: Annotated[
        Literal["nifti", "dicom"],
        Key("`dicom` writes a folder of CT slices and a segmentation per examination, with the same voxels."),
    ]
    development: Annotated[
        int, Key("This number of development cases is spread over the five conditions.", ge=0, le=MOST_PHANTOMS)
    ]
    test1: Annotated[
        int, Key("This number of cases of test dataset-1 is spread over the five conditions.", ge=0, le=MOST_PHANTOMS)
    ]
    pairs: Annotated[
        int, Key("Test dataset-2 has this number of patients, with two examinations each.", ge=0, le=MOST_PHANTOMS)
    ]
    matrix: Annotated[int, Key("A slice has this number of pixels along a side.", ge=32, le=4096)]
    thickness_min_mm: Annotated[float, Key("Slices are at least this thick.", ge=1, le=8)]
    thickness_max_mm: Annotated[float, Key("Slices are at most this thick.", ge=1, le=8)]
    seed: Annotated[int, Key("The same seed gives the same phantoms.", ge=0, le=LARGEST_SEED)]
    workers: Annotated[int, PROCESSES]

    def conflicts(self) -> Iterator[Issue]:
        """No case at all; an empty range of thickness."""
        if self.development + self.test1 + self.pairs == 0:
            yield conflict("development=, test1= and pairs= are all 0", "set one of them above 0")
        if self.thickness_min_mm > self.thickness_max_mm:
            message = f"thickness_min_mm={self.thickness_min_mm:g} is above thickness_max_mm={self.thickness_max_mm:g}"
            yield conflict(message, "set thickness_min_mm to thickness_max_mm or less")


@dataclass(frozen=True, kw_only=True)
class ImportConfig(Schema):
    """Keys of `liverspleen import`."""

    source: Annotated[
        Literal["nifti", "msd", "nnunet", "totalsegmentator", "chaos", "dicom"], Key("The input has this layout.")
    ]
    input: Annotated[Path, Key("The dataset is in this folder.")]
    output: Annotated[Path, Key("This folder gets images/, labels/, cohort.csv and import.csv.")]
    labels: Annotated[
        Path | None, Key("Label maps of nifti and dicom are in this folder; the other layouts contain their own.")
    ]
    label_values: Annotated[
        Any,
        Key(
            "Label values mean what the source says (`names`), what a preset says, or what a map says, such as "
            "{1: liver, 2: spleen}."
        ),
    ]
    covariates: Annotated[Path | None, Key("This CSV has the key `source` or `patient`, and columns of cohort.csv.")]
    key: Annotated[
        Path | None,
        Key("Hashes use this key file, created if absent; it is in the user's configuration folder if empty."),
    ]
    ids: Annotated[Literal["hashed", "names"], Key("`names` keeps the names of a public dataset.")]
    minimum_slices: Annotated[int, Key("A DICOM series with fewer slices is not included.", ge=1, le=100_000)]
    workers: Annotated[
        int, Key("Number of processes, each with one case; 0 means one per core.", ge=0, le=MOST_PROCESSES)
    ]
    vocabulary: VocabularyConfig


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Schema):
    """Keys of `liverspleen export`."""

    model: Annotated[Path | None, Key("The model of this checkpoint is exported.")]
    name: Annotated[str | None, Key("The model gets this name, or that of the output if empty.")]
    license: Annotated[str | None, Key("The model has this license, an SPDX identifier such as CC-BY-4.0.")]
    onnx: Annotated[bool, Key("The exported model also contains ONNX.")]
    layout: Annotated[Literal["nnunet", "msd"] | None, Key("The cohort is exported in this layout.")]
    cohort: Annotated[
        Path | None, Key("This cohort.csv is exported; with a model, the model is evaluated on its validation cases.")
    ]
    root: Annotated[Path | None, ROOT]
    output: Annotated[
        Path,
        Key("A model is written to this folder or .zip, a cohort to this folder, such as nnUNet_raw/Dataset501_Liver."),
    ]
    split: Annotated[
        Path | None,
        Key("The model was trained with this split.csv; or this file, or a folder of folds, is exported for nnunet."),
    ]
    workers: Annotated[
        int,
        Key("For a cohort: number of processes, each with one case; 0 means one per core.", ge=0, le=MOST_PROCESSES),
    ]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """A model and a cohort at once, or an incomplete request."""
        yield from self._model_conflicts() if self.model is not None else self._cohort_conflicts()

    def _model_conflicts(self) -> Iterator[Issue]:
        if self.layout is not None:
            yield conflict(f"model= and layout={self.layout}", "export the model and the cohort by two commands")
        if (self.cohort is None) != (self.split is None):
            message = "of cohort= and split= only one is given"
            yield conflict(message, "give both to have the validation cases segmented")

    def _cohort_conflicts(self) -> Iterator[Issue]:
        for name in ("name", "license", "onnx"):
            if getattr(self, name):
                yield conflict(f"{name}= is of a model, but there is no model=", f"leave {name}= out")
        if self.layout is None:
            yield conflict("neither model= nor layout= is given", "give model= to export a model, layout= a cohort")
        elif self.cohort is None:
            yield conflict(f"layout={self.layout} needs a cohort", "give cohort=")
        if self.split is not None and self.layout == "msd":
            yield conflict("layout=msd has no place for a split", "leave split= out")


@dataclass(frozen=True, kw_only=True)
class CheckConfig(Schema):
    """Keys of `liverspleen check`."""

    cohort: Annotated[Path, COHORT]
    root: Annotated[Path | None, ROOT]
    output: Annotated[
        Path | None,
        Key("This folder gets findings.csv, findings.json and run.json; findings are only printed if empty."),
    ]
    vocabulary: VocabularyConfig


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Schema):
    """Keys of `liverspleen split`."""

    cohort: Annotated[Path, COHORT]
    root: Annotated[Path | None, ROOT]
    output: Annotated[Path, Key("This folder gets split.csv, or with `folds` fold0.csv, fold1.csv and so on.")]
    folds: Annotated[
        int | None,
        Key(
            "Each patient validates in exactly one of this number of splits; there is a single split if empty.",
            ge=2,
            le=1000,
        ),
    ]
    train_fraction: Annotated[
        float | None,
        Key(
            "This fraction of the patients trains in a single split, 0.8 if empty; with 1 nobody validates.",
            gt=0,
            le=1,
        ),
    ]
    seed: Annotated[int, Key("The split is drawn with this seed.", ge=0, le=LARGEST_SEED)]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Folds determine the fraction."""
        if self.folds is not None and self.train_fraction is not None:
            message = f"folds={self.folds} and train_fraction={self.train_fraction:g}, but folds determine the fraction"
            yield conflict(message, "leave one of them out")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(Schema):
    """Keys of `liverspleen prepare`."""

    action: Annotated[Literal["fill", "verify", "prune"], Key("This is done with the slice cache.")]
    cohort: Annotated[Path | None, Key("The cases are in this cohort.csv or folder of images; `verify` needs none.")]
    root: Annotated[Path | None, ROOT]
    cache: Annotated[Path, Key("The slice cache is in this folder; several trainings may share it.")]
    pixel_mm: Annotated[
        float | None,
        Key(
            "The trainings that will read the cache have this `slices.pixel_mm`; each CT keeps its own if empty.",
            ge=0.1,
            le=20,
        ),
    ]
    workers: Annotated[
        int,
        Key(
            "At most this number of processes works; 0 means one per core. Fewer work if memory does not suffice.",
            ge=0,
            le=MOST_PROCESSES,
        ),
    ]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Only `verify` works without a cohort."""
        if self.cohort is None and self.action != "verify":
            message = f"prepare action={self.action} needs cohort=... (cohort.csv)"
            yield Issue("LS-CFG-002", message, "add cohort=... (liverspleen prepare --help)")
