"""Cross-validation, with a configuration: folds, one training each, label maps, measurements, report, ensemble."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from liverspleen import assemble
from liverspleen.api.training import Training
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import Split, is_trainable, read_splits, split_hashes, write_split
from liverspleen.cohort.stratified import folds_by_patient
from liverspleen.cohort.vocabulary import DEVELOPMENT
from liverspleen.config import TrainConfig, compose, keys
from liverspleen.config.key import conflict
from liverspleen.data.pixel_size import median_pixel_mm, pixel_line
from liverspleen.display import duration
from liverspleen.errors import InputError, Issue, counted
from liverspleen.locks import try_lock
from liverspleen.organs import ORGANS
from liverspleen.processes import say
from liverspleen.provenance import Run, recorded
from liverspleen.sweep.launch import PROGRAM, worker_environment
from liverspleen.sweep.results import read_result, run_records
from liverspleen.sweep.training import LOG, Interrupted, StopSignals, TrainingEnd, train

REPLACED: Final = frozenset({"folds", "workers", "split", "cache", "output", "cohort", "root"})
"""Keys that each fold gets from the cross-validation."""

ENSEMBLE: Final = "ensemble"

_ABOUT_TESTS: Final = frozenset({"LS-REP-030", "LS-REP-031", "LS-REP-041", "LS-REP-042"})
"""Notes that a report without test datasets has parts missing; they are in the record of the report."""


def run_folds(config: TrainConfig, given: Sequence[str]) -> Training:
    """Train each fold, segment each case with the model that was not trained on it, measure, report, and export.

    Finished parts of an earlier run with the same output folder are kept, and an interrupted training resumes.
    `given` are the overrides of the command line, which every training also gets. The checkpoint of the result is the
    ensemble of all folds.

    Raises:
        InputError: the configuration or the input cannot be used, or a training failed.
        KeyboardInterrupt: it was stopped; the trainings have saved their last step.
    """
    if issues := [*_given_issues(given), *_task_issues()]:
        raise InputError(issues)
    if any((config.output / name).exists() for name in ("last.ckpt", "best.ckpt")):
        message = "the folder has a single training, but folds= is given"
        raise InputError(Issue("LS-TRN-004", message, "choose another output=", file=config.output))
    with recorded("train", config, config.output) as record:
        cohort = assemble.cohort(config.cohort, config, table=config.output / "cohort.csv")
        record.issues.extend(cohort.issues)
        validation = CrossValidation(config, given, cohort, record)
        validation.run()
        record.issues[:] = dict.fromkeys(record.issues)
        return Training(config.output, config.output / ENSEMBLE, tuple(record.issues))


def folds_of(config: TrainConfig, cohort: Cohort) -> tuple[Path, dict[str, Split]]:
    """Return the folder of the folds and the folds by name; they are created if `split=` is not given.

    Raises:
        InputError: LS-SPL-018 the folder has another number of folds; as `folds_by_patient` and `read_splits`.
    """
    assert config.folds is not None
    folder = config.split or config.output / "split"
    if config.split is None and not folder.is_dir():
        folds = folds_by_patient(cohort, folds=config.folds, seed=config.seed)
        draft = folder.with_name(".split-draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for number, fold in enumerate(folds):
            write_split(draft / f"fold{number}.csv", fold)
        draft.replace(folder)
    splits = read_splits(folder, cohort)
    if len(splits) != config.folds:
        message = f"it has {counted(len(splits), 'split')}, but folds={config.folds}"
        raise InputError(Issue("LS-SPL-018", message, f"give folds={len(splits)}, or another folder", file=folder))
    return folder, splits


@dataclass(frozen=True)
class CrossValidation:
    """The parts of a cross-validation in the output folder; issues and outputs are added to `record`."""

    config: TrainConfig
    given: Sequence[str]
    cohort: Cohort
    record: Run

    def run(self) -> None:
        """Run all parts in order."""
        output = self.config.output
        folder, splits = folds_of(self.config, self.cohort)
        for split in splits.values():
            self.record.issues.extend(split.unassigned(self.cohort))
        self.record.inputs |= {"cohort": self.cohort.hash, **split_hashes(folder)}
        self.record.seeds["training"] = self.config.seed
        self._build_cache(next(iter(splits.values())))
        self._train(folder, [*splits])
        for name in splits:
            self._predict(name, folder / f"{name}.csv")
        self._evaluate(folder)
        self._export([*splits], folder)
        self.record.outputs += [output / "measure" / "measurements.csv", output / "report" / "report.html"]

    @cached_property
    def pixel_mm(self) -> float | None:
        """Pixel size of all folds; `auto` is the median of their cases, so that they share the slice cache."""
        if self.config.slices.pixel_mm != "auto":
            return self.config.slices.decided_pixel_mm
        cases = [case for case in self.cohort.cases if is_trainable(case)]
        found = median_pixel_mm(cases)
        _say(pixel_line("slices.pixel_mm", found, len(cases)))
        self.record.decided["slices.pixel_mm"] = found
        return found

    @property
    def _cache(self) -> Path:
        return self.config.cache or self.config.output / "cache"

    def _build_cache(self, split: Split) -> None:
        """Store all cases once, before several trainings need them, and compare them with those of a start model.

        Raises:
            InputError: LS-TRN-031 the start model was trained on a case, which one of the folds validates.
        """
        from liverspleen.data.atomic_folders import in_use
        from liverspleen.data.build import build_sides

        self._cache.mkdir(parents=True, exist_ok=True)
        with in_use(self._cache):
            sides = build_sides(self.cohort, split, self._cache, pixel_mm=self.pixel_mm, name="train", say=_say)
        self.record.issues.extend(sides.issues)
        start = self.config.start
        if start is None or not start.exists():  # each training reports a missing file, unless it resumes
            return
        from liverspleen.data.trained_on import reject_known
        from liverspleen.inference.lineage import lineage
        from liverspleen.inference.untrusted.model_file import checked_model

        try:
            reject_known([*sides.training, *sides.validation], sides.tested, lineage(checked_model(start)))
        except InputError as error:
            hint = "use another start=, because each case of the folds is a validation case"
            raise InputError([replace(issue, hint=hint) for issue in error.issues]) from error

    def _train(self, folder: Path, names: Sequence[str]) -> None:
        """Train the folds, `workers=` at once.

        Raises:
            InputError: LS-TRN-053 a training failed; the others have finished.
            KeyboardInterrupt: the trainings were stopped.
        """
        workers = min(self.config.workers, len(names))
        failed = []
        with StopSignals() as stop, ThreadPoolExecutor(workers) as pool:
            started = {
                name: pool.submit(self._train_fold, name, folder, stop, number % workers)
                for number, name in enumerate(names)
            }
            ends = {name: future.result() for name, future in started.items()}
        if any(end is None for end in ends.values()):
            raise KeyboardInterrupt
        for name, end in ends.items():
            if end is not None and end.reason:
                hint = f"read {self._run(name) / LOG}, correct the reason, then run the same command to resume"
                failed.append(Issue("LS-TRN-053", f"the training of {name} failed: {end.reason}", hint))
        if failed:
            raise InputError(failed)

    def _run(self, name: str) -> Path:
        return self.config.output / name

    def _train_fold(self, name: str, folder: Path, stop: StopSignals, worker: int) -> TrainingEnd | None:
        """Train a fold and print its result; None if the training was stopped."""
        run = self._run(name)
        if stop.count:
            return None
        run.mkdir(parents=True, exist_ok=True)
        _say(f"{name} {'resumed' if (run / LOG).exists() else 'started'}; its output is in {run / LOG}")
        environment = worker_environment(worker, self.config.workers, assemble.device_count())
        try:
            with _locked(run / ".lock", stop) as lock:
                end = train(
                    self._command(name, folder),
                    run,
                    lock=lock,
                    stop=stop,
                    should_end=lambda: False,
                    heartbeat=lambda: None,
                    environment=environment if self.config.workers > 1 else {},
                )
        except Interrupted:
            return None
        if not end.reason:
            _say(f"{name} finished in {duration(end.seconds)}, {_scores(run)}")
            self._relay(name, run)
        return end

    def _command(self, name: str, folder: Path) -> list[str]:
        """Return the command of a training, which a user can repeat."""
        kept = [one for one in self.given if one.partition("=")[0] not in REPLACED]
        paths = {"cohort": self.cohort.path, "root": self.cohort.root, "split": folder / f"{name}.csv"}
        paths |= {"cache": self._cache, "output": self._run(name)}
        decided = [] if self.pixel_mm is None else [f"slices.pixel_mm={self.pixel_mm}"]
        single = ["folds=", "workers=1"]  # a choice of conf= may have them
        return [*PROGRAM, "train", *kept, *single, *decided, *(f"{key}={path}" for key, path in paths.items())]

    def _relay(self, name: str, run: Path) -> None:
        """Print the issues of a training that are not known from the cohort and the cache."""
        known = {str(issue) for issue in self.record.issues}
        for line in (run_records(run) or [{}])[0].get("issues", []):
            if line not in known:
                _say(f"{name}: {line}")

    def _composed(self, verb: str, **values: Any) -> Any:
        """Return the configuration of another verb for this cohort."""
        own = {"root": self.cohort.root, "vocabulary": asdict(self.config.vocabulary)}
        return compose(verb, values={**own, **values})

    def _predict(self, name: str, split: Path) -> None:
        from liverspleen.api.prediction import run_prediction

        model = self._run(name) / "last.ckpt"  # best.ckpt was selected on these cases
        predicted = run_prediction(
            self._composed(
                "predict",
                model=[model],
                input=self.cohort.path,
                split=split,
                output=self.config.output / "predictions",
                accelerator=self.config.trainer.accelerator,
            )
        )
        self.record.issues.extend(predicted.issues)

    def _evaluate(self, folder: Path) -> None:
        """Measure the label maps, and write the report with a column for each fold."""
        from liverspleen.api.evaluation import run_measurement, run_report

        output, cohort = self.config.output, self.cohort.path
        labels = output / "predictions"
        measured = run_measurement(
            self._composed("measure", labels=labels, cohort=cohort, datasets=[DEVELOPMENT], output=output / "measure")
        )
        reported = run_report(
            self._composed(
                "report",
                measurements=measured.file,
                cohort=cohort,
                split=folder,
                labels=labels,
                output=output / "report",
            )
        )
        shown = [issue for issue in reported.issues if issue.code not in _ABOUT_TESTS]
        self.record.issues.extend([*measured.issues, *shown])

    def _export(self, names: Sequence[str], folder: Path) -> None:
        """Write the ensemble package of the models, with their validation; keep one that is newer than the models."""
        from liverspleen.inference.ensemble_export import export_ensemble
        from liverspleen.inference.model_package import ENSEMBLE as DESCRIPTION
        from liverspleen.inference.package_export import export_model, validation_side

        target = self.config.output / ENSEMBLE
        models = {fold: self._run(fold) / "last.ckpt" for fold in names}
        if (done := target / DESCRIPTION).exists():
            written = done.stat().st_mtime_ns
            if all(model.stat().st_mtime_ns < written for model in models.values()):
                return
        packages = []
        for fold, model in models.items():
            package = export_model(
                model,
                self._run(fold) / "model",
                name=fold,
                license=None,
                onnx=False,
                side=partial(validation_side, cohort=self.cohort, split_file=folder / f"{fold}.csv"),
                device=lambda: assemble.device(self.config.trainer.accelerator),
            )
            self.record.issues.extend(package.issues)
            packages.append(package.path)
        ensemble = export_ensemble(packages, target, name=f"ensemble of {len(names)} folds")
        self.record.issues.extend(ensemble.issues)
        _say(f"ensemble of {counted(len(names), 'model')} in {target}")


def overrides(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield overrides of the command line for Python values, as `compose` takes them.

    >>> list(overrides({"folds": 5, "trainer": {"steps": 20, "patience": None}, "network": "small"}))
    ['folds=5', 'trainer.steps=20', 'trainer.patience=', 'network=small']
    """
    known = {key.name for key in keys(TrainConfig)}
    for part, value in values.items():
        name = f"{prefix}{part}"
        if isinstance(value, Mapping) and name not in known:
            yield from overrides(value, f"{name}.")
        elif isinstance(value, Mapping):
            yield f"{name}={{{', '.join(f'{key}: {json.dumps(one)}' for key, one in value.items())}}}"
        elif value is None:
            yield f"{name}={'' if name in known else 'null'}"
        elif isinstance(value, str | os.PathLike):
            yield f"{name}={os.fspath(value)}"
        else:
            yield f"{name}={json.dumps(value)}"


@contextmanager
def _locked(file: Path, stop: StopSignals) -> Iterator[int]:
    """Hold a lock that a training inherits; wait for a training whose parent process was killed, which is ending.

    Raises:
        Interrupted: a signal came before the lock was free.
    """
    while (lock := try_lock(file)) is None:
        if stop.count:
            raise Interrupted
        time.sleep(0.2)
    try:
        yield lock
    finally:
        os.close(lock)


def _scores(run: Path) -> str:
    """Return the mean DSS at the last validation, as text."""
    result = read_result(run)
    found = {organ.key: result.dss_of(organ) for organ in ORGANS}
    return "DSS " + ", ".join(f"{name} {'-' if dss is None else format(dss, '.4f')}" for name, dss in found.items())


def _given_issues(given: Sequence[str]) -> Iterator[Issue]:
    if any(one.startswith("train_fraction=") for one in given):
        yield conflict("train_fraction= has no effect with folds=", "remove one of them")


def _task_issues() -> Iterator[Issue]:
    """Yield an issue if a launcher started several tasks; each would be a cross-validation of its own."""
    tasks = max(int(os.environ.get(name) or 1) for name in ("SLURM_NTASKS", "WORLD_SIZE"))
    if tasks > 1:
        message = f"folds= starts its trainings itself, but {tasks} tasks were started"
        yield conflict(message, "start one task without torchrun, or train each fold with its own command and split=")


def _say(line: str) -> None:
    say(f"train: {line}")
