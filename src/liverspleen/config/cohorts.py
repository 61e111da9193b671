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
    """Allowed values of the columns `dataset`, `condition` and `site` of a cohort, in the order of the tables."""

    datasets: Annotated[
        list[str],
        Key(
            "`dataset` has one of these values; only `development` is used for training. The first other value is "
            "the dataset of Tables 2 and 3, the second that of Table 4."
        ),
    ]
    conditions: Annotated[list[str], Key("`condition` has one of these values, in the order of the tables.")]
    sites: Annotated[
        list[str], Key("`site` has one of these values; the first two are the sites of paired examinations.")
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
        """Yield an issue if there is no case, or if the range of thickness is empty."""
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
            "Label values have the meaning that the source (`names`), a preset or a map such as {1: liver, 2: spleen} "
            "gives them."
        ),
    ]
    covariates: Annotated[Path | None, Key("This CSV has the key `source` or `patient`, and columns of cohort.csv.")]
    key: Annotated[
        Path | None,
        Key("Hashes use this key file, created if absent; it is in the user's configuration folder if empty."),
    ]
    ids: Annotated[
        Literal["hashed", "names"], Key("Case ids are hashed, or `names` keeps the names of a public dataset.")
    ]
    minimum_slices: Annotated[int, Key("A DICOM series with fewer slices is not included.", ge=1, le=100_000)]
    workers: Annotated[
        int,
        Key("This number of processes imports one case each; 0 means one per core.", ge=0, le=MOST_PROCESSES),
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
        Key("This number of processes exports a case of a cohort each; 0 means one per core.", ge=0, le=MOST_PROCESSES),
    ]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of a request that has both a model and a layout, or is incomplete."""
        yield from self._model_conflicts() if self.model is not None else self._cohort_conflicts()

    def _model_conflicts(self) -> Iterator[Issue]:
        if self.layout is not None:
            yield conflict(
                f"model= and layout={self.layout} are both given", "export the model and the cohort with two commands"
            )
        if (self.cohort is None) != (self.split is None):
            message = "only one of cohort= and split= is given"
            yield conflict(message, "give both to evaluate the model, or none")

    def _cohort_conflicts(self) -> Iterator[Issue]:
        for name in ("name", "license", "onnx"):
            if getattr(self, name):
                yield conflict(f"{name}= has no effect without model=", f"remove {name}=")
        if self.layout is None:
            yield conflict(
                "neither model= nor layout= is given", "give model= to export a model, or layout= to export a cohort"
            )
        elif self.cohort is None:
            yield conflict(f"layout={self.layout} needs cohort=", "give cohort=")
        if self.split is not None and self.layout == "msd":
            yield conflict("layout=msd cannot store a split", "remove split=")


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
            "This fraction of the patients trains in a single split, 0.8 if empty; 1 means no validation patients.",
            gt=0,
            le=1,
        ),
    ]
    seed: Annotated[int, Key("The split is drawn with this seed.", ge=0, le=LARGEST_SEED)]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if both folds and a fraction are given."""
        if self.folds is not None and self.train_fraction is not None:
            message = f"folds={self.folds} and train_fraction={self.train_fraction:g}, but folds determine the fraction"
            yield conflict(message, "remove one of them")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(Schema):
    """Keys of `liverspleen prepare`."""

    action: Annotated[Literal["build", "verify", "prune"], Key("This action is performed on the slice cache.")]
    cohort: Annotated[Path | None, Key("The cases are in this cohort.csv or folder of images; `verify` needs none.")]
    root: Annotated[Path | None, ROOT]
    cache: Annotated[Path, Key("The slice cache is in this folder; several trainings may share it.")]
    pixel_mm: Annotated[
        float | None,
        Key(
            "Slices are resampled to this pixel size, which is `slices.pixel_mm` of the trainings; each CT keeps its "
            "own if empty.",
            ge=0.1,
            le=20,
        ),
    ]
    workers: Annotated[
        int,
        Key(
            "At most this number of processes is used; 0 means one per core. Fewer are used if memory is short.",
            ge=0,
            le=MOST_PROCESSES,
        ),
    ]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if an action other than `verify` has no cohort."""
        if self.cohort is None and self.action != "verify":
            message = f"prepare action={self.action} needs cohort=... (cohort.csv)"
            yield Issue("LS-CFG-002", message, "add cohort=... (liverspleen prepare --help)")
