"""Train, with a configuration: cohort, split, slice cache, fit, run.json."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen import __version__, assemble
from liverspleen.api.automatic import Decisions, measured_costs
from liverspleen.api.starting import Start, beginning, open_start, recorded_start, with_recorded_start
from liverspleen.cohort.composition import composition
from liverspleen.cohort.label_origin import label_origins
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import SIDES, Split, read_split, subset
from liverspleen.cohort.stratified import read_or_create_split
from liverspleen.config import TrainConfig
from liverspleen.errors import InputError, Issue, counted
from liverspleen.imaging.files import read_grid
from liverspleen.processes import say
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of
from liverspleen.training.tasks import is_first_process, task_issues

if TYPE_CHECKING:
    from liverspleen.data.cache import CachedCase


@dataclass(frozen=True)
class Training:
    """A finished training.

    `checkpoint` is the best one by validation DSS, or the last one without validation cases; `issues` are the warnings
    and the cases that were skipped.
    """

    output: Path
    checkpoint: Path
    issues: tuple[Issue, ...]


def run_training(config: TrainConfig) -> Training:
    """Train, resume, or report that the training is finished.

    Raises:
        InputError: the configuration or the input cannot be used.
        KeyboardInterrupt: the training was stopped; its last step is saved.
    """
    began, choice = time.monotonic(), config.trainer
    tasks = task_issues(os.environ, devices=choice.devices, nodes=choice.nodes)
    if issues := [*assemble.bf16_issues(config), *tasks]:
        raise InputError(issues)
    if (config.output / "fold0" / "run.json").exists():
        message = "the folder has a cross-validation, but folds= is not given"
        raise InputError(Issue("LS-TRN-004", message, "choose another output=", file=config.output))
    from liverspleen.data.atomic_folders import in_use
    from liverspleen.training.interruption import interruptible

    # without start=, torch and Lightning are imported by _fit, after the cohort and the split have been read
    with interruptible(), _record(config) as record:
        start = open_start(config)
        cohort = assemble.cohort(config.cohort, config, table=config.output / "cohort.csv")
        record.issues.extend(cohort.issues)
        split, split_file = split_of(config, cohort)
        record.inputs |= {"cohort": cohort.hash, "split": sha256_of(split_file)}
        record.seeds["training"] = config.seed
        record.issues.extend(split.unassigned(cohort))
        cache = config.cache or config.output / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        with in_use(cache):
            used = subset(split, config.train_subset, seed=config.seed)
            _fit(config, Decisions(record, _say, began), cohort, used, cache, start)
    from liverspleen.training.resumption import BEST, LAST

    best = config.output / BEST
    reported = tuple(record.issues) if is_first_process() else ()
    return Training(config.output, best if best.exists() else config.output / LAST, reported)


def split_of(config: TrainConfig, cohort: Cohort) -> tuple[Split, Path]:
    """Return the split of `split=`, or that of the output folder, which is drawn if it does not exist."""
    if config.split is not None:
        return read_split(config.split, cohort), config.split
    file = config.output / "split.csv"
    return read_or_create_split(file, cohort, train_fraction=config.train_fraction, seed=config.seed), file


def _record(config: TrainConfig) -> AbstractContextManager[Run]:
    return recorded("train", config, config.output) if is_first_process() else nullcontext(Run(config.output))


def _say(line: str) -> None:
    say(f"train: {line}")


def _fit(
    config: TrainConfig, decisions: Decisions, cohort: Cohort, split: Split, cache: Path, start: Start | None
) -> None:
    """Build the slice cache, then train to the last step."""
    from liverspleen.data.build import build_sides
    from liverspleen.data.trained_on import salt_of, trained_on
    from liverspleen.training.fit import FILES, TrainingParts, fit
    from liverspleen.training.gauges import Gauges
    from liverspleen.training.resumption import other_threads, replanned, resumption
    from liverspleen.training.taught import coverage, coverage_issues, taught_organs
    from liverspleen.training.threads import default_threads, torch_threads

    record, config = decisions.record, decisions.pixel_size(config, cohort, split)
    record.corrections = label_origins(case for side in SIDES for case in split.cases(cohort, side))
    if record.corrections and is_first_process():
        _say(f"{counted(len(record.corrections), 'label map')} from corrections; run.json has their origin")
    cached = build_sides(
        cohort,
        split,
        cache,
        pixel_mm=config.slices.decided_pixel_mm,
        name="train",
        say=_say if is_first_process() else None,
    )
    training, validation = cached.training, cached.validation
    record.issues.extend(cached.issues)
    record.measured |= _sizes(cohort, training)
    recipe = assemble.recipe(config, record.inputs, {"training": training, "validation": validation})
    recipe = with_recorded_start(recipe, config)
    done = resumption(config.output, recipe, neutral=assemble.neutral_values())
    config, recipe = decisions.precision(config, recipe, done)
    choice = config.trainer
    record.threads = threads = choice.threads or done.threads or default_threads(choice.devices)
    record.issues.extend([*done.issues, *other_threads(done, threads)])
    record.outputs += [config.output / name for name in FILES]
    taught = taught_organs(training)
    record.issues.extend(coverage_issues(taught, training, validation))
    if is_first_process() and (line := coverage(training)):
        _say(line)
    about = {
        **_about(record, cohort, split, (training, validation)),
        "taught_organs": [organ.key for organ in taught],
        "trained_on": trained_on(training, salt=salt_of(cohort.hash, record.inputs["split"], str(config.seed))),
    }
    if done.ancestors:
        about["ancestors"], record.start = [*done.ancestors], recorded_start(done.ancestors)
        if is_first_process():
            _say(f"start={config.start} is not read again: the checkpoint has its weights")
    begin = beginning(start, config, record, cached, about["taught_organs"], say=_say) if start else None
    voxels_mm3 = _voxels_mm3(cohort, validation)

    def build() -> TrainingParts:
        if config.scheduler.name in {"polynomial", "cosine"}:
            record.issues.extend(replanned(done, config.trainer.steps))
        network = assemble.network(config)
        started = begin(network) if begin else {}
        module = assemble.module(config, about | started, network)
        data = assemble.data_module(config, training, validation, start=done.steps)
        record.issues.extend(data.limit_workers(config.trainer.devices))
        gauges, issues = Gauges(done.seconds), record.issues
        watch = assemble.callbacks(
            config, validation, voxels_mm3, start=done.steps, recipe=recipe, gauges=gauges, issues=issues
        )
        loggers = assemble.loggers(config, issues, start=done.steps, gauges=gauges)
        trainer = assemble.trainer(config, watch, loggers, validate=bool(validation))
        record.device = str(trainer.strategy.root_device)
        return TrainingParts(trainer, module, data)

    with torch_threads(threads):
        config = decisions.steps(config, done, lambda: measured_costs(config, training, validation, about))
        steps, patience = config.trainer.steps, choice.patience
        seconds = fit(config.output, done, build, steps=steps, patience=patience, seed=config.seed, say=_say)
    decisions.end(config, done)
    if seconds is not None:
        record.measured["validation_seconds_per_slice"] = seconds


def _sizes(cohort: Cohort, training: Sequence[CachedCase]) -> dict[str, float]:
    """Return the numbers of patients and cases that are trained with."""
    ids = {case.case_id for case in training}
    patients = {case.patient_id for case in cohort.cases if case.case_id in ids}
    return {"training_patients": len(patients), "training_cases": len(ids)}


def _about(record: Run, cohort: Cohort, split: Split, cached: Sequence[Sequence[CachedCase]]) -> dict[str, Any]:
    """Return the description of the data for a checkpoint: hashes, and the composition of both sides."""
    sides: dict[str, Any] = {}
    for side, cases in zip(SIDES, cached, strict=True):
        ids = {case.case_id for case in cases}
        sides[side] = composition(case for case in split.cases(cohort, side) if case.case_id in ids)
    hashes = {name: record.inputs[name] for name in ("cohort", "split")}
    return {**hashes, **sides, "origins": sides[SIDES[0]]["origins"], "version": __version__}


def _voxels_mm3(cohort: Cohort, validation: Sequence[CachedCase]) -> list[float]:
    """Return the voxel volume of each validation case, on the CT's own grid."""
    images = {case.case_id: case.image for case in cohort.cases}
    return [read_grid(images[case.case_id], case_id=case.case_id).voxel_volume_mm3 for case in validation]
