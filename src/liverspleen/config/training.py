"""Schemas of `train`, `bench` and `sweep`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from liverspleen.config.cohorts import COHORT, ROOT, VocabularyConfig
from liverspleen.config.key import LARGEST_COUNT, LARGEST_SEED, MOST_PROCESSES, Key, Schema, conflict, not_allowed
from liverspleen.config.recipe import (
    AugmentationConfig,
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
        Path | None, Key("Patients are split by this split.csv; a new split is written to the output folder if empty.")
    ]
    cache: Annotated[
        Path | None, Key("The slice cache is in this folder; it is `cache` in the output folder if empty.")
    ]
    output: Annotated[Path, Key("This folder gets checkpoints, metrics.csv and validation.csv.")]
    train_fraction: Annotated[
        float, Key("A new split has this fraction of the patients on its training side.", gt=0, le=1)
    ]
    seed: Annotated[
        int,
        Key(
            "The initial weights, the order of slices, augmentation and a new split depend on this seed.",
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


@dataclass(frozen=True, kw_only=True)
class BenchTrainerConfig(TrainerConfig):
    """Length of the training, batches and hardware."""

    precision: Annotated[
        Literal["32-true", "bf16-mixed"], Key("Training computes in this precision, as Lightning names it.")
    ]


@dataclass(frozen=True, kw_only=True)
class BenchConfig(TrainConfig):
    """Keys of `liverspleen bench`: those of `train`, and the length of the measurement."""

    cohort: Annotated[Path | None, Key("This key has no effect on bench.")]  # type: ignore[assignment]
    cache: Annotated[Path | None, Key("Slices are read from this slice cache; noise is used if empty.")]
    output: Annotated[  # type: ignore[assignment]
        Path | None, Key("This folder gets bench.json and run.json; the result is only printed if empty.")
    ]
    trainer: BenchTrainerConfig
    matrix: Annotated[int, Key("A slice of noise has this number of pixels along a side.", ge=1, le=4096)]
    warmup: Annotated[int, Key("This number of steps runs before the measured ones.", ge=1, le=100_000)]
    measured: Annotated[int, Key("Medians over this number of steps are reported.", ge=1, le=100_000)]

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if a slice is smaller than the stride of the network."""
        if self.matrix < (stride := self.network.output_stride):
            message = f"matrix={self.matrix} is below network.output_stride={stride}"
            yield conflict(message, f"use a matrix from {stride} to 4096")


@dataclass(frozen=True, kw_only=True)
class SearchConfig(Schema):
    """The search space of a sweep, and how it is searched."""

    sampler: Annotated[
        Literal["tpe", "random", "grid"],
        Key("Configurations are proposed by this method; `grid` runs all points in order."),
    ]
    pruner: Annotated[
        Literal["none", "median", "halving"],
        Key("`median` and `halving` end trials early that are worse than others at a validation."),
    ]
    parameters: Annotated[
        dict[str, Any],
        Key("This maps a key or config group of train to its choices, or to low, high and optionally log, step."),
    ]
    warmup_steps: Annotated[
        int, Key("`median` ends no trial before this number of training steps.", ge=0, le=LARGEST_COUNT)
    ] = 0


@dataclass(frozen=True, kw_only=True)
class LauncherConfig(Schema):
    """Where the workers of a sweep run; all keys except `name` are for SLURM jobs, each with one worker."""

    name: Annotated[
        Literal["local", "slurm"], Key("`local` runs workers on this machine; `slurm` submits them as jobs.")
    ]
    jobs: Annotated[int, Key("This number of jobs is submitted.", ge=0, le=10_000)]
    time_min: Annotated[
        int,
        Key("Each job has this time limit; a job that is not finished by then is requeued.", ge=5, le=525_600),
    ]
    partition: Annotated[str | None, Key("Jobs run in this partition of the cluster, or in its default one if empty.")]
    gpus: Annotated[int | None, Key("Each job requests this number of GPUs, and none if empty.", ge=0, le=128)]
    cpus: Annotated[
        int, Key("Each job requests this number of CPUs, loader processes included.", ge=1, le=MOST_PROCESSES)
    ]
    mem_gb: Annotated[
        float | None, Key("Each job requests this memory, or the default of the cluster if empty.", gt=0, le=100_000)
    ]
    options: Annotated[
        dict[str, Any], Key("sbatch gets these further options by their long names, such as {account: x, qos: long}.")
    ]


@dataclass(frozen=True, kw_only=True)
class SweepConfig(TrainConfig):
    """Keys of `liverspleen sweep`: those of `train`, which all trials share, and those of the search."""

    output: Annotated[
        Path, Key("This folder gets trials/, the tables and the leaderboard, and study.db without storage=.")
    ]
    trials: Annotated[
        int | None,
        Key(
            "The search ends after this number of finished trials, or after all points of a grid if empty.",
            ge=1,
            le=1_000_000,
        ),
    ]
    leaders: Annotated[int, Key("This number of best configurations is trained again with new seeds.", ge=1, le=1000)]
    seeds: Annotated[
        int, Key("Each of them is trained with this number of new seeds; with 0 no winner is chosen.", ge=0, le=1000)
    ]
    objectives: Annotated[
        list[Literal["dss", "volume_bias", "seconds_per_slice"]],
        Key("Configurations are compared by these objectives, and ranked by the first one."),
    ]
    study: Annotated[str | None, Key("The study has this name in its database, or that of the output folder if empty.")]
    storage: Annotated[
        str | None, Key("The database has this SQLAlchemy URL; it is a SQLite file in the output folder if empty.")
    ]
    workers: Annotated[
        int,
        Key("This number of processes trains a trial each; 0 means one, or one per GPU.", ge=0, le=MOST_PROCESSES),
    ]
    launcher: LauncherConfig
    search: SearchConfig

    def conflicts(self) -> Iterator[Issue]:
        """Yield the issues of the objectives and of the launcher."""
        yield from self._objective_conflicts()
        if self.launcher.name != "slurm":
            return
        if self.launcher.jobs < 1:
            yield conflict("launcher.jobs=0 with launcher=slurm", "set launcher.jobs= from 1 to 10000")
        if self.workers != 1:
            message = f"workers={self.workers} with launcher=slurm"
            yield conflict(message, "remove workers=, and set launcher.jobs= to the number of workers")

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
