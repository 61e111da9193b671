"""Search hyperparameters, with a configuration: join the study, train trials, write the leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from liverspleen import assemble
from liverspleen.api.automatic import precision_of
from liverspleen.api.folds import folds_of
from liverspleen.api.training import split_of
from liverspleen.cohort.split import SIDES, split_hashes
from liverspleen.config import SweepConfig, TrainConfig, compose, groups, keys
from liverspleen.credentials import may_have_password, without_credentials
from liverspleen.errors import InputError, Issue, counted
from liverspleen.locks import exclusive
from liverspleen.processes import say
from liverspleen.provenance import Run, recorded
from liverspleen.reading import read_object
from liverspleen.records import DamagedRecordError, damaged, read_record, write_record
from liverspleen.storage import encodable, sha256_of
from liverspleen.sweep.database import may_contain_password, without_password, without_url
from liverspleen.sweep.launch import PROGRAM, launch_workers
from liverspleen.sweep.leaderboard import CURVE, write_leaderboard
from liverspleen.sweep.plan import SEED, Plan
from liverspleen.sweep.results import OBJECTIVES
from liverspleen.sweep.space import Space, to_overrides
from liverspleen.sweep.study import Study
from liverspleen.sweep.submission import submit
from liverspleen.sweep.training import Interrupted, StopSignals
from liverspleen.sweep.worker import Sweep, Worker

_NOT_SEARCHED = {
    *("cohort", "root", "split", "folds", "workers", "train_fraction"),
    *("cache", "output", "seed", "vocabulary", "logger"),
}
"""Keys of train that cannot be searched, because they are the same in all trials or separate for each."""

_SHARED = ("steps", "minutes", "validate_every", "accelerator", "deterministic", "patience")
"""Keys of `trainer` that may change when a training is resumed, but must be the same in trials that are compared."""


def run_sweep(config: SweepConfig, given: Sequence[str]) -> Sequence[Issue]:
    """Run a worker of the study in this process, or start several workers, or submit them as SLURM jobs.

    `given` are the overrides of the command line, which every trial also gets.

    Raises:
        InputError: the search or the input cannot be used.
        KeyboardInterrupt: the sweep was stopped; its trials are saved.
    """
    base = _base(given)
    if encodable(path := str(config.output)) != path:
        message = "the name of the folder is not UTF-8, which the database of a study needs"
        raise InputError(Issue("LS-RUN-009", message, "give another output=", file=config.output))
    if issues := [*search_issues(config, base), *_curve_issues(config, given)]:
        raise InputError(issues)
    if config.launcher.name == "slurm":
        return _submitted(config, given)
    devices = assemble.device_count()
    if (workers := config.workers or devices) > 1:
        return launch_workers(given, workers, devices)
    with ExitStack() as last:
        command = without_url(sys.argv, config.storage)
        with recorded("sweep", _shown(config), config.output, command=command, shared=True) as record:
            _work(config, base, record)
            last.enter_context(exclusive(config.output / ".lock"))  # workers write their records in turn
        return tuple(record.issues)


def _submitted(config: SweepConfig, given: Sequence[str]) -> Sequence[Issue]:
    """Submit workers as SLURM jobs, and return without waiting for them."""
    choice = asdict(config.launcher)
    del choice["name"]
    overrides = [one for one in given if one.partition("=")[0].partition(".")[0] not in {"launcher", "workers"}]
    folder = config.output / "submitit"
    ids = submit(["sweep", *overrides], folder, **choice)
    say(f"sweep: {counted(len(ids), 'job')} submitted: {' '.join(ids)}; see squeue, and the logs in {folder}")
    return []


def _work(config: SweepConfig, base: list[str], record: Run) -> None:
    sweep = _sweep(config, base, record)
    with StopSignals() as stop:
        worker = Worker(sweep, stop)
        try:
            worker.work()
        except Interrupted:
            raise KeyboardInterrupt from None
        finally:
            record.issues.extend(worker.issues)
            write_leaderboard(config.output)
    names = ("trials.csv", "trial_cases.csv", "leaderboard.csv", "leaderboard.md", "leaderboard.html", "choice.json")
    record.outputs += [config.output / name for name in (*names, CURVE) if (config.output / name).exists()]
    say(read_object(config.output / "choice.json")["decision"][0])
    say(f"sweep: open {config.output / 'leaderboard.html'}")


def _sweep(config: SweepConfig, base: list[str], record: Run) -> Sweep:
    """Return the study, which this worker starts or joins.

    Raises:
        InputError: there is no validation case, or the study was started with other keys or inputs.
    """
    out, search = config.output, config.search
    out.mkdir(parents=True, exist_ok=True)
    with exclusive(out / ".lock"):
        cohort = assemble.cohort(config.cohort, config, table=out / "cohort.csv")
        record.issues.extend(cohort.issues)
        if config.folds is None:
            split, split_file = split_of(config, cohort)
            splits, hashes, folds = [split], {"split": sha256_of(split_file)}, {}
        else:
            split_file, found = folds_of(config, cohort)
            splits, hashes = [*found.values()], split_hashes(split_file)
            folds = {name: (split_file / f"{name}.csv").resolve() for name in found}
        validation = [case for split in splits for case in split.cases(cohort, SIDES[1])]
        if not validation:
            message = "the split has no validation cases, which a sweep needs to compare configurations"
            raise InputError(
                Issue(
                    "LS-SWP-004", message, "give a split with validation cases, or train_fraction=0.8", file=split_file
                )
            )
        record.inputs |= {"cohort": cohort.hash, **hashes}
        record.seeds["sweep"] = config.seed
        name = config.study or _name(out)
        # a folder name may contain ? and %, which have a meaning in a URL
        url = config.storage or f"sqlite:///{quote(str((out / 'study.db').resolve()))}"
        study = Study(
            url,
            name,
            objectives=config.objectives,
            sampler=search.sampler,
            pruner=search.pruner,
            warmup_steps=search.warmup_steps,
            seed=config.seed,
        )
        study.check_identity(_identity(config, record), assemble.neutral_values())
        space, plan = Space.of(search.parameters), _plan(config)
        about: dict[str, Any] = {"study": name, "objectives": config.objectives, "trials": plan.trials}
        about |= {"leaders": plan.leaders, "seeds": plan.seeds, "search": asdict(search)}
        about["base"] = [*map(without_credentials, base)]
        write_record(out / "study.json", about)
    cache = config.cache or out / "cache"
    fixed = [f"cache={cache.resolve()}", f"logger.wandb_group={_group(config, name)}"]
    fixed += [] if folds else [f"split={split_file.resolve()}"]
    return Sweep(
        folder=out.resolve(),
        study=study,
        space=space,
        plan=plan,
        objectives=tuple(config.objectives),
        command=(*PROGRAM, "train", *base, *fixed),
        conditions={case.case_id: case.condition for case in validation},
        prunes=search.pruner != "none",
        say=say,
        folds=folds,
    )


def _group(config: SweepConfig, name: str) -> str:
    """Return the group of the runs at W&B: `study=`, or a hash of the name, because folder names may be private."""
    return config.study or f"sweep-{sha256(name.encode()).hexdigest()[:8]}"


def _name(folder: Path) -> str:
    """Return the name of the study in a folder, also if the folder was renamed; else the name of the folder.

    Raises:
        InputError: LS-FMT-005, study.json is damaged, so the name is not known.
    """
    file = folder / "study.json"
    try:
        return str(read_record(file, required=False)["study"])
    except FileNotFoundError:
        return folder.resolve().name
    except (DamagedRecordError, KeyError) as error:
        hint = f"give study= the name of the study, which is {folder.resolve().name} unless the folder was renamed"
        raise InputError(damaged(file, str(error), hint)) from None


def _plan(config: SweepConfig) -> Plan:
    grid = tuple(Space.of(config.search.parameters).grid()) if config.search.sampler == "grid" else ()
    return Plan(
        trials=config.trials or len(grid),
        leaders=config.leaders,
        seeds=0 if SEED in config.search.parameters else config.seeds,
        highest_is_best=OBJECTIVES[config.objectives[0]] == "maximize",
        grid=grid,
        seed=config.seed,
    )


def _identity(config: SweepConfig, record: Run) -> dict[str, Any]:
    """Return the values that must be the same for all workers of a study, by key."""
    search = config.search
    parameters = {f"search.parameters.{name}": value for name, value in search.parameters.items()}
    decisive = assemble.decisive_keys(config)
    recipe = {name: value for name, value in decisive.items() if name.partition(".")[0] not in _NOT_SEARCHED}
    recipe["trainer.precision"] = precision_of(config.trainer)  # the same on the machines of all workers
    recipe |= {f"trainer.{name}": getattr(config.trainer, name) for name in _SHARED}
    chosen = {"search.sampler": search.sampler, "search.pruner": search.pruner, "objectives": config.objectives}
    return {**recipe, **parameters, **chosen, "seed": config.seed, **record.inputs}


def _base(given: Sequence[str]) -> list[str]:
    """Return the overrides of the command line that every trial gets."""
    own = {field.name for field in fields(SweepConfig)} - {field.name for field in fields(TrainConfig)}
    replaced = own | {"output", "split", "folds", "workers", "cache", "seed"}
    return [override for override in given if override.partition("=")[0].partition(".")[0] not in replaced]


def search_issues(config: SweepConfig, base: Sequence[str]) -> list[Issue]:
    """Return the issues of the search that are known before the first trial.

    Raises:
        InputError: the model of `start=` cannot be used.
    """
    if config.launcher.name == "slurm" and (issues := [*_stored_passwords(config)]):
        return issues
    if config.start is not None:
        from liverspleen.inference.untrusted.model_file import checked_model

        checked_model(config.start)
    search = config.search
    try:
        space = Space.of(search.parameters)
    except ValueError as error:
        return [
            Issue("LS-SWP-002", f"search: {error}", "correct the file of search= in conf/search, or search.parameters=")
        ]
    if search.sampler == "grid" and space.size is None:
        return [
            Issue("LS-SWP-002", "a grid needs choices, or ranges with a step", "add a step, or use search.sampler=tpe")
        ]
    return list(_unusable(config, space, base))


def _stored_passwords(config: SweepConfig) -> Iterator[Issue]:
    """Yield an issue for each password in a URL, because the files of SLURM jobs have the command line."""
    message = "{}= contains a password, which the files of the jobs would store"
    if may_contain_password(config.storage):
        hint = "remove the password from storage=, and store it in a file such as ~/.pgpass"
        yield Issue("LS-CFG-016", message.format("storage"), hint)
    if may_have_password(config.logger.mlflow_uri or ""):
        hint = "remove the password from logger.mlflow_uri=, and set MLFLOW_TRACKING_USERNAME and _PASSWORD"
        yield Issue("LS-CFG-016", message.format("logger.mlflow_uri"), hint)


def _curve_issues(config: SweepConfig, given: Sequence[str]) -> Iterator[Issue]:
    """Yield the issues of a search over seeds or subsets of the training patients."""
    search = config.search
    if SEED in search.parameters:
        keys_given = {one.partition("=")[0] for one in given} & {"seeds", "leaders"}
        if search.sampler != "grid":
            message = f"search: seed is searched with search.sampler={search.sampler}"
            yield Issue("LS-SWP-041", message, "use search.sampler=grid, or remove seed from search.parameters=")
        if keys_given:
            listed = " and ".join(f"{name}=" for name in sorted(keys_given))
            message = f"seed is searched, so there is no confirmation, but {listed} is given"
            yield Issue("LS-SWP-042", message, f"remove {listed}; search.parameters= has the seeds")
    if "train_subset" in search.parameters and (others := {*search.parameters} - {"train_subset", SEED}):
        message = f"search: a learning curve has one recipe, but {', '.join(sorted(others))} is searched too"
        yield Issue("LS-SWP-043", message, "remove it from search.parameters=, or remove train_subset")
    if config.folds is not None and any(one.startswith("train_fraction=") for one in given):
        yield Issue("LS-CFG-016", "train_fraction= has no effect with folds=", "remove one of them")
    if "train_subset" in search.parameters and (search.pruner != "none" or config.trainer.patience is not None):
        found = f"search.pruner={search.pruner}, trainer.patience={config.trainer.patience}"
        message = f"trainings with different numbers of patients need the same number of steps, but {found}"
        yield Issue("LS-SWP-043", message, "use search.pruner=none and trainer.patience=null")


def _unusable(config: SweepConfig, space: Space, base: Sequence[str]) -> Iterator[Issue]:
    """Yield the issues of parameters that cannot be searched, and of values that `train` rejects."""
    if assemble.ranks(config) > 1:
        yield _several_devices(f"trainer.devices={config.trainer.devices} trainer.nodes={config.trainer.nodes}")
        return
    known = {key.name for key in keys(TrainConfig)} | (groups().keys() & {field.name for field in fields(TrainConfig)})
    fixed = {override.partition("=")[0] for override in base}
    for parameter in space.parameters:
        name = parameter.name
        if name == SEED:
            continue
        if name.partition(".")[0] in _NOT_SEARCHED or name not in known | {"experiment"}:
            message = f"search: {name} is not a key or group of train that can be searched"
            hint = "use keys of liverspleen train --help, except those of data, seeds and folders"
            yield Issue("LS-SWP-003", message, hint)
        elif name in fixed:
            yield Issue(
                "LS-SWP-005", f"{name} is searched, but {name}= is also given", f"remove {name}=, or do not search it"
            )
        else:
            for value in parameter.extremes():
                yield from _untrainable(base, to_overrides({name: value}))


def _untrainable(base: Sequence[str], overrides: Sequence[str]) -> Iterator[Issue]:
    try:
        config: TrainConfig = compose("train", [*base, *overrides, "output=trial"])
    except InputError as error:
        yield from error.issues
        return
    if assemble.ranks(config) > 1:
        yield _several_devices(" ".join(overrides))
    else:
        yield from assemble.bf16_issues(config)


def _several_devices(message: str) -> Issue:
    hint = "use workers= for one trial per GPU; for one training on several GPUs use liverspleen train trainer=ddp"
    return Issue("LS-SWP-001", f"{message} needs several devices, but a trial trains on one", hint)


def _shown(config: SweepConfig) -> dict[str, Any]:
    """Return the configuration without the password that a database URL may contain."""
    return {**asdict(config), "storage": without_password(config.storage)}
