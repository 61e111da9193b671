"""Schemas of `train`, `bench` and `sweep`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from liverspleen.config.augmentation import AugmentationConfig
from liverspleen.config.cohorts import COHORT, ROOT, VocabularyConfig
from liverspleen.config.key import LARGEST_COUNT, LARGEST_SEED, MOST_PROCESSES, Key, Schema, conflict, not_allowed
from liverspleen.config.recipe import (
    LoggerConfig,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
    SamplerConfig,
    SchedulerConfig,
    SlicesConfig,
    TrainerConfig,
)
from liverspleen.errors import Issue


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Schema):
    """Keys of `liverspleen train`."""

    cohort: Annotated[Path, COHORT]
    root: Annotated[Path | None, ROOT]
    split: Annotated[
        Path | None,
        Key(
            "Split of the patients (split.csv), or with `folds` the folder of the folds; empty: a new split is written "
            "to the output folder."
        ),
    ]
    folds: Annotated[
        int | None,
        Key(
            "Number of folds of a cross-validation: each fold is trained and segments its validation cases, which are "
            "measured and reported; the models become an ensemble. In a sweep, each trial trains all folds, and its "
            "score is over the validation cases of all of them. Empty: one training.",
            ge=2,
            le=1000,
        ),
    ]
    workers: Annotated[
        int,
        Key("Number of folds that are trained at once; with several GPUs each has one.", ge=1, le=MOST_PROCESSES),
    ]
    cache: Annotated[Path | None, Key("Folder of the slice cache; default: `cache` in the output folder.")]
    start: Annotated[
        Path | None,
        Key(
            "Checkpoint or model package from whose weights the training starts; `phantom` is the shipped model. "
            "Empty: new weights.",
            neutral=None,
            is_model=True,
        ),
    ]
    freeze: Annotated[
        Literal["encoder"] | None,
        Key("Part of the network that keeps the weights it starts from; empty: all weights are trained.", neutral=None),
    ]
    freeze_steps: Annotated[
        int | None,
        Key(
            "Number of optimizer steps during which freeze= holds; empty: all steps.",
            ge=1,
            le=LARGEST_COUNT,
            neutral=None,
        ),
    ]
    output: Annotated[Path, Key("Output folder for checkpoints, metrics.csv, curves.png and validation.csv.")]
    train_fraction: Annotated[float, Key("Fraction of training patients in a new split.", gt=0, le=1)]
    train_subset: Annotated[
        float,
        Key(
            "Fraction of the training patients of the split that are trained with, drawn by seed=; the subsets of one "
            "seed are nested.",
            gt=0,
            le=1,
            neutral=1.0,
        ),
    ]
    seed: Annotated[
        int,
        Key(
            "Seed of the initial weights, the order of slices, the augmentation and a new split.",
            ge=0,
            le=LARGEST_SEED,
        ),
    ]
    slices: SlicesConfig
    sampler: SamplerConfig
    augmentation: AugmentationConfig
    network: NetworkConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    trainer: TrainerConfig
    logger: LoggerConfig
    vocabulary: VocabularyConfig

    @property
    def frozen_steps(self) -> float:
        """Number of steps during which the encoder is frozen; infinite for all steps."""
        if self.freeze is None:
            return 0
        return math.inf if self.freeze_steps is None else self.freeze_steps

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of the initial weights, and one if the training ends before its warm-up."""
        yield from self._fold_conflicts()
        if self.start is not None and self.network.weights is not None:
            yield conflict("start= and network.weights= both give the initial weights", "remove network.weights=")
        if self.freeze is not None and self.start is None and self.network.weights is None:
            message = f"freeze={self.freeze} without start= would keep random weights"
            yield conflict(message, "give a trained model with start=, or remove freeze=")
        if self.freeze_steps is not None and self.freeze is None:
            yield conflict(f"freeze_steps={self.freeze_steps} without freeze=", "add freeze=encoder")
        warmup, steps = self.scheduler.warmup, self.trainer.steps
        if self.trainer.minutes is None and warmup >= steps:
            message = f"scheduler.warmup={warmup} is not below trainer.steps={steps}"
            yield conflict(message, "set scheduler.warmup= below trainer.steps=")

    def _fold_conflicts(self) -> Iterator[Issue]:
        if self.folds is None and self.workers != 1:
            message = f"workers={self.workers} has no effect without folds="
            yield conflict(message, "give folds=, or remove workers=")
        if self.folds is not None and self.trainer.nodes > 1:
            message = f"folds={self.folds} trains on one machine, but trainer.nodes={self.trainer.nodes}"
            yield conflict(message, "remove trainer.nodes=, or train each fold with its own command and split=")
        if self.folds is not None and self.workers > 1 and self.trainer.devices > 1:
            message = f"workers={self.workers} trains on one device each, but trainer.devices={self.trainer.devices}"
            yield conflict(message, "remove workers= or trainer.devices=")
        if self.folds is not None and self.trainer.minutes is not None:
            message = "trainer.minutes= plans one training, but folds= trains several, which must have equal lengths"
            yield conflict(message, "give trainer.steps=, such as the number that trainer.minutes= plans for one fold")


@dataclass(frozen=True, kw_only=True)
class BenchTrainerConfig(TrainerConfig):
    """Length of the training, batches and hardware."""

    precision: Annotated[
        Literal["auto", "32-true", "bf16-mixed"],
        Key(
            "Numeric precision of the training, with the names of Lightning; `auto` is bf16-mixed on a GPU that "
            "supports it and 32-true elsewhere."
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class BenchConfig(TrainConfig):
    """Keys of `liverspleen bench`: those of `train`, and the length of the measurement."""

    cohort: Annotated[Path | None, Key("Not used by bench.")]  # type: ignore[assignment]
    cache: Annotated[Path | None, Key("Folder of the slice cache to read; empty: slices of noise are used.")]
    output: Annotated[  # type: ignore[assignment]
        Path | None, Key("Output folder for bench.json and run.json; empty: the result is only printed.")
    ]
    trainer: BenchTrainerConfig
    matrix: Annotated[int, Key("Number of pixels along a side of a slice of noise.", ge=1, le=4096)]
    warmup: Annotated[int, Key("Number of steps before the measured steps.", ge=1, le=100_000)]
    measured: Annotated[int, Key("Number of measured steps; their medians are reported.", ge=1, le=100_000)]

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of the training, one for a start model, and one if a slice is smaller than the stride."""
        yield from super().conflicts()
        for name in ("start", "freeze", "freeze_steps"):
            if getattr(self, name) is not None:
                yield conflict(f"{name}= has no effect on bench", f"remove {name}=")
        if self.trainer.minutes is not None or self.train_subset != 1:
            yield conflict("trainer.minutes= and train_subset= have no effect on bench", "remove them")
        if self.matrix < (stride := self.network.output_stride):
            message = f"matrix={self.matrix} is below network.output_stride={stride}"
            yield conflict(message, f"use a matrix from {stride} to 4096")

    def _fold_conflicts(self) -> Iterator[Issue]:
        if self.folds is not None or self.workers != 1:
            yield conflict("folds= and workers= have no effect on bench", "remove them")


@dataclass(frozen=True, kw_only=True)
class SearchConfig(Schema):
    """The search space of a sweep, and how it is searched."""

    sampler: Annotated[
        Literal["tpe", "random", "grid"],
        Key("Method that proposes configurations; `grid` runs all combinations in order."),
    ]
    pruner: Annotated[
        Literal["none", "median", "halving"],
        Key("Pruning method; `median` and `halving` end a trial early if it is worse than others at a validation."),
    ]
    parameters: Annotated[
        dict[str, Any],
        Key(
            "Map from each searched key or config group of train to its choices, or to low, high and "
            "optionally log and step."
        ),
    ]
    warmup_steps: Annotated[
        int, Key("Number of training steps before which `median` ends no trial.", ge=0, le=LARGEST_COUNT)
    ] = 0


@dataclass(frozen=True, kw_only=True)
class LauncherConfig(Schema):
    """Where the workers of a sweep run; all keys except `name` are for SLURM jobs, each with one worker."""

    name: Annotated[
        Literal["local", "slurm"],
        Key("Place of the workers: `local` runs them on this machine; `slurm` submits them as jobs."),
    ]
    jobs: Annotated[int, Key("Number of submitted SLURM jobs.", ge=0, le=10_000)]
    time_min: Annotated[
        int,
        Key("Time limit of each job in minutes; a job that is not finished by then is requeued.", ge=5, le=525_600),
    ]
    partition: Annotated[str | None, Key("Partition of the jobs; default: the default partition of the cluster.")]
    gpus: Annotated[int | None, Key("Number of GPUs of each job; empty: none.", ge=0, le=128)]
    cpus: Annotated[int, Key("Number of CPUs of each job, loader processes included.", ge=1, le=MOST_PROCESSES)]
    mem_gb: Annotated[
        float | None, Key("Memory of each job in GB; default: the default of the cluster.", gt=0, le=100_000)
    ]
    options: Annotated[
        dict[str, Any], Key("Further options of sbatch by their long names, such as {account: x, qos: long}.")
    ]


@dataclass(frozen=True, kw_only=True)
class SweepConfig(TrainConfig):
    """Keys of `liverspleen sweep`: those of `train`, which all trials share, and those of the search."""

    output: Annotated[
        Path, Key("Output folder for trials/, the tables and the leaderboard, and without storage= also for study.db.")
    ]
    trials: Annotated[
        int | None,
        Key(
            "Number of finished trials after which the search ends; empty (only for a grid): all combinations.",
            ge=1,
            le=1_000_000,
        ),
    ]
    leaders: Annotated[int, Key("Number of best configurations that are trained again with new seeds.", ge=1, le=1000)]
    seeds: Annotated[
        int, Key("Number of new seeds for each of these configurations; 0: no winner is selected.", ge=0, le=1000)
    ]
    objectives: Annotated[
        list[Literal["dss", "volume_bias", "seconds_per_slice"]],
        Key("Objectives of the search; configurations are ranked by the first one."),
    ]
    study: Annotated[str | None, Key("Name of the study in its database; default: the name of the output folder.")]
    storage: Annotated[str | None, Key("SQLAlchemy URL of the database; default: a SQLite file in the output folder.")]
    workers: Annotated[
        int,
        Key("Number of processes, each training one trial at a time; 0: one, or one per GPU.", ge=0, le=MOST_PROCESSES),
    ]
    launcher: LauncherConfig
    search: SearchConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of the training, of the objectives and of the launcher."""
        yield from super().conflicts()
        yield from self._objective_conflicts()
        if self.launcher.name != "slurm":
            return
        if self.launcher.jobs < 1:
            yield conflict("launcher.jobs=0 with launcher=slurm", "set launcher.jobs= from 1 to 10000")
        if self.workers != 1:
            message = f"workers={self.workers} with launcher=slurm"
            yield conflict(message, "remove workers=, and set launcher.jobs= to the number of workers")

    def _fold_conflicts(self) -> Iterator[Issue]:
        """Yield the issues of a search with folds; workers= is the number of trials at once."""
        if self.folds is not None and self.search.pruner != "none":
            message = f"search.pruner={self.search.pruner} with folds={self.folds}, whose folds are trained in turn"
            yield conflict(message, "use search.pruner=none")
        if self.folds is not None and "train_subset" in self.search.parameters:
            yield conflict(f"folds={self.folds} with a search over train_subset", "remove folds=")

    def _objective_conflicts(self) -> Iterator[Issue]:
        if not self.objectives:
            yield not_allowed("objectives= is empty", "use one or more of dss, volume_bias, seconds_per_slice")
        if len(set(self.objectives)) < len(self.objectives):
            yield not_allowed("objectives= has an objective twice", "give each objective once")
        if self.search.pruner != "none" and self.objectives != ["dss"]:
            message = f"search.pruner={self.search.pruner} with objectives=[{','.join(self.objectives)}]"
            hint = "use objectives=[dss], the only objective known during a training, or search.pruner=none"
            yield conflict(message, hint)
        if self.search.sampler != "grid" and self.trials is None:
            yield Issue("LS-CFG-002", "sweep needs trials=... (finished trials of the search)", "add trials=20")
