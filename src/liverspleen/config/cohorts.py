"""Schemas of the verbs that make, read, check and split cohorts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from liverspleen.config.key import LARGEST_SEED, MOST_PROCESSES, Key, Schema, conflict
from liverspleen.errors import Issue

MOST_PHANTOMS: Final = 100_000
COHORT: Final = Key("Table of the cases (cohort.csv), or a folder of images.")
ROOT: Final = Key("Folder to which paths in the cohort are relative; default: the folder of the cohort.")
PROCESSES: Final = Key("Number of processes; 0: one per core.", ge=0, le=MOST_PROCESSES)


@dataclass(frozen=True, kw_only=True)
class VocabularyConfig(Schema):
    """Allowed values of the columns `dataset`, `condition` and `site` of a cohort, in the order of the tables."""

    datasets: Annotated[
        list[str],
        Key(
            "Allowed values of `dataset`. Only `development` is used for training; the first other value is "
            "used for Tables 2 and 3 of the report, the second for Table 4."
        ),
    ]
    conditions: Annotated[list[str], Key("Allowed values of `condition`, in the order of the tables.")]
    sites: Annotated[
        list[str],
        Key("Allowed values of `site`. The first two are compared in patients with one CT scan from each (Table 4)."),
    ]
    labels: Annotated[
        dict[str, str],
        Key("Labels of the values in tables and figures; a value without a label is printed unchanged."),
    ] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PhantomConfig(Schema):
    """Keys of `liverspleen phantom`."""

    output: Annotated[
        Path,
        Key(
            "Output folder for images/, labels/, cohort.csv and truth.csv; or for dicom/, covariates.csv and truth.csv."
        ),
    ]
    format: Annotated[
        Literal["nifti", "dicom"],
        Key(
            "Format of the images. `dicom` writes a folder of CT slices and a segmentation per examination, "
            "with the same voxels."
        ),
    ]
    development: Annotated[
        int, Key("Number of development cases, distributed over the five conditions.", ge=0, le=MOST_PHANTOMS)
    ]
    test1: Annotated[
        int, Key("Number of cases of test dataset-1, distributed over the five conditions.", ge=0, le=MOST_PHANTOMS)
    ]
    pairs: Annotated[
        int, Key("Number of patients of test dataset-2, each with two examinations.", ge=0, le=MOST_PHANTOMS)
    ]
    style: Annotated[
        Literal["paper", "randomised"],
        Key(
            "`paper` for the five conditions of the paper with complete organs. `randomised` for anatomy, contrast "
            "phase, image quality and range of slices that vary far more."
        ),
    ]
    matrix: Annotated[int, Key("Number of pixels along a side of a slice.", ge=32, le=4096)]
    thickness_min_mm: Annotated[float, Key("Smallest slice thickness in mm; with `style=paper` 1 to 8.", ge=0.5, le=10)]
    thickness_max_mm: Annotated[float, Key("Largest slice thickness in mm; with `style=paper` 1 to 8.", ge=0.5, le=10)]
    seed: Annotated[int, Key("Seed of the phantoms; the same seed gives the same phantoms.", ge=0, le=LARGEST_SEED)]
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
        Literal["nifti", "msd", "nnunet", "totalsegmentator", "chaos", "dicom"], Key("Layout of the input dataset.")
    ]
    input: Annotated[Path, Key("Folder of the input dataset.")]
    output: Annotated[Path, Key("Output folder for images/, labels/, cohort.csv and import.csv.")]
    labels: Annotated[
        Path | None,
        Key(
            "Folder of the label maps, for the layouts nifti and dicom; the other layouts contain their own. For nifti "
            "it may be input= itself."
        ),
    ]
    pairs: Annotated[
        Path | None,
        Key(
            "CSV file with the columns image and label, and optionally case_id and patient_id, for the layout nifti: "
            "CT scans and their label maps, if names do not pair them. Paths are relative to its folder or to input=."
        ),
    ]
    label_values: Annotated[
        Any,
        Key(
            "Meaning of the label values: `names` (as given by the dataset), a preset, or a map such as {1: "
            "liver, 2: spleen}."
        ),
    ]
    covariates: Annotated[
        Path | None,
        Key(
            "CSV file with columns of cohort.csv; its column `source` or `patient` gives the case or patient "
            "of each row."
        ),
    ]
    key: Annotated[
        Path | None,
        Key("File with the secret key of the hashed ids; created if missing. Default: in your configuration folder."),
    ]
    ids: Annotated[Literal["hashed", "names"], Key("Form of the case ids: hashed, or the `names` of a public dataset.")]
    series_by: Annotated[
        Literal["uid", "folder"],
        Key(
            "What the files of a DICOM series have in common: `uid`, or `folder` (with plane and matrix) if each file "
            "has a UID of its own."
        ),
    ]
    minimum_slices: Annotated[
        int, Key("Minimum number of slices of a DICOM series; series with fewer are skipped.", ge=1, le=100_000)
    ]
    workers: Annotated[
        int,
        Key("Number of processes, each importing one case at a time; 0: one per core.", ge=0, le=MOST_PROCESSES),
    ]
    vocabulary: VocabularyConfig


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Schema):
    """Keys of `liverspleen export`."""

    _TESTS: ClassVar = ("tested", "tested_cohort", "tested_on", "tested_design")

    model: Annotated[
        list[Path],
        Key(
            "Checkpoint whose model is exported. Several checkpoints or model packages (a,b,c) are exported as one "
            "ensemble package; `phantom` is the shipped model.",
            is_model=True,
        ),
    ]
    name: Annotated[str | None, Key("Name of the model; default: the name of the output.")]
    license: Annotated[str | None, Key("License of the model, an SPDX identifier such as CC-BY-4.0.")]
    onnx: Annotated[bool, Key("If true, the model package also contains an ONNX model.")]
    layout: Annotated[Literal["nnunet", "msd"] | None, Key("Layout of the exported cohort.")]
    cohort: Annotated[
        Path | None,
        Key(
            "Cohort to export (cohort.csv). With a model: the cohort on whose validation cases the model is evaluated."
        ),
    ]
    root: Annotated[Path | None, ROOT]
    tested: Annotated[
        Path | None,
        Key(
            "Measurements (measurements.csv, or its folder) of the label maps of this model, with a reference, on CT "
            "scans that were not used for its training. The model package records these results."
        ),
    ]
    tested_cohort: Annotated[
        Path | None,
        Key("Cohort of the CT scans of tested=. Their voxels are compared with those of the training cases."),
    ]
    tested_on: Annotated[
        str | None, Key("Name of these CT scans in the model card, such as 'twelve public CT scans (BTCV)'.")
    ]
    tested_design: Annotated[
        bool | None,
        Key(
            "If true, design choices were checked on these CT scans, so that the results may be too optimistic; if "
            "false, none was."
        ),
    ]
    output: Annotated[
        Path,
        Key("Output: a folder or .zip for a model; a folder for a cohort, such as nnUNet_raw/Dataset501_Liver."),
    ]
    split: Annotated[
        Path | None,
        Key(
            "With a model: the split.csv of its training. With layout=nnunet: the split.csv or folder of "
            "folds to export."
        ),
    ]
    workers: Annotated[
        int,
        Key("Number of processes, each exporting one case at a time; 0: one per core.", ge=0, le=MOST_PROCESSES),
    ]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of a request that has both a model and a layout, or is incomplete."""
        yield from self._model_conflicts() if self.model else self._cohort_conflicts()

    def _model_conflicts(self) -> Iterator[Issue]:
        if self.layout is not None:
            yield conflict(
                f"model= and layout={self.layout} are both given", "export the model and the cohort with two commands"
            )
        if (self.cohort is None) != (self.split is None):
            message = "only one of cohort= and split= is given"
            yield conflict(message, "give both to evaluate the model, or none")
        elif self.cohort is not None and len(self.model) > 1:
            message = "cohort= and split= are given with several models, whose validation cases differ"
            hint = "export each model with its cohort= and split=, and then the model packages without them"
            yield conflict(message, hint)
        yield from self._test_conflicts()

    def _test_conflicts(self) -> Iterator[Issue]:
        if missing := [f"{name}=" for name in self._TESTS if getattr(self, name) is None]:
            if len(missing) < len(self._TESTS):
                message = f"results on test cases need {' '.join(missing)}"
                yield conflict(message, f"give {', '.join(f'{name}=' for name in self._TESTS)}, or none of them")
        elif len(self.model) > 1:
            message = "tested= is given with several models, whose ensemble has no results of its own"
            yield conflict(message, "export each model with its tested=, and then the model packages without it")

    def _cohort_conflicts(self) -> Iterator[Issue]:
        for name in ("name", "license", "onnx", *self._TESTS):
            value = getattr(self, name)
            if value is not None and (value or name != "onnx"):
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
        Key("Output folder for findings.csv, findings.json and run.json; empty: findings are only printed."),
    ]
    vocabulary: VocabularyConfig


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Schema):
    """Keys of `liverspleen split`."""

    cohort: Annotated[Path, COHORT]
    root: Annotated[Path | None, ROOT]
    output: Annotated[Path, Key("Output folder for split.csv, or with `folds` for fold0.csv, fold1.csv and so on.")]
    folds: Annotated[
        int | None,
        Key(
            "Number of folds; each patient is a validation patient in exactly one fold. Empty: a single split.",
            ge=2,
            le=1000,
        ),
    ]
    train_fraction: Annotated[
        float | None,
        Key(
            "Fraction of training patients in a single split; default: 0.8. With 1 there are no validation patients.",
            gt=0,
            le=1,
        ),
    ]
    seed: Annotated[int, Key("Seed of the random split.", ge=0, le=LARGEST_SEED)]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if both folds and a fraction are given."""
        if self.folds is not None and self.train_fraction is not None:
            message = f"folds={self.folds} and train_fraction={self.train_fraction:g}, but folds determine the fraction"
            yield conflict(message, "remove one of them")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(Schema):
    """Keys of `liverspleen prepare`."""

    action: Annotated[Literal["build", "verify", "prune"], Key("Action on the slice cache.")]
    cohort: Annotated[
        Path | None, Key("Table of the cases (cohort.csv), or a folder of images; not needed for `verify`.")
    ]
    root: Annotated[Path | None, ROOT]
    cache: Annotated[Path, Key("Folder of the slice cache; several trainings can use the same one.")]
    split: Annotated[
        Path | None, Key("Split of the patients (split.csv), whose training cases determine `pixel_mm=auto`.")
    ]
    pixel_mm: Annotated[
        float | Literal["auto"] | None,
        Key(
            "Pixel size in mm to which slices are resampled; use the value of `slices.pixel_mm` in train. `auto`: the "
            "median of the training cases of split=. Empty: each CT scan keeps its own pixel size.",
            ge=0.1,
            le=20,
        ),
    ]
    workers: Annotated[
        int,
        Key(
            "Maximum number of processes; 0: one per core. Fewer are used if there is not enough memory.",
            ge=0,
            le=MOST_PROCESSES,
        ),
    ]
    vocabulary: VocabularyConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if an action other than `verify` has no cohort, or if only one of auto and split is given."""
        if self.cohort is None and self.action != "verify":
            message = f"prepare action={self.action} needs cohort=... (cohort.csv)"
            yield Issue("LS-CFG-002", message, "add cohort=... (liverspleen prepare --help)")
        if self.action == "build" and self.pixel_mm == "auto" and self.split is None:
            message = "prepare pixel_mm=auto needs split=..., whose training cases determine the pixel size"
            yield Issue("LS-CFG-002", message, "add split=split.csv, or give pixel_mm= the number that train printed")
        if self.split is not None and (self.action != "build" or self.pixel_mm != "auto"):
            yield conflict("split= has an effect only on action=build with pixel_mm=auto", "remove split=")
