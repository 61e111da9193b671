"""choose architecture and hyperparameters, and tell how sure the choice is.

First the search: each trial is `liverspleen train` with the words given here and what search= chooses, in a process, on
a device, with a seed and in a folder of its own. Then the confirmation: the leaders= best configurations are trained
again with seeds= fresh seeds each, and compared on the validation cases: a winner is named only if it is better than
every other leader beyond what seeds and cases explain. Test sets are not touched.

A trial that fails, is killed, runs out of memory or gives no finite number is a row with its reason; the sweep goes on.
The same command goes on after any interruption, with the trials that were under way, and ends at exactly trials=
finished ones; given several times at once, here or on other machines, it is so many workers of one study (storage= is
a database URL for machines that share no file system). workers= starts several here, each with a GPU of its own or a
share of the cores. A trial trains on one device. launcher=slurm submits launcher.jobs= workers as SLURM jobs and
returns; a job whose time is up goes back into the queue and goes on (docs/clusters.md).

A search is a file in conf/search: any key or config group of train, with its choices or limits.

example
  liverspleen sweep cohort=cohort.csv output=outputs/sweep experiment=phantom trainer.steps=300 trials=20

inputs
  the keys of liverspleen train; search= and the keys below

outputs, in output=
  trials.csv, trial_cases.csv     trials with state, reason, seed, time, parameters, objectives; their validation cases
  leaderboard.csv, .md, .html     configurations in order, with intervals; history, importance, parallel coordinates
  choice.json                     the winner, or that no difference was shown
  trials/0000, ...                folders of liverspleen train, each with log.txt
  study.db, study.json, run.json  the study; what is searched; what made them

exit codes
  0 done, failed trials included; 2 input refused; 1 interrupted or failure
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from liverspleen import assemble
from liverspleen.cli.choices import groups
from liverspleen.cli.composition import compose_verb, verbatim
from liverspleen.cli.train import split_of
from liverspleen.cohort.split import SIDES
from liverspleen.config import SweepConfig, TrainConfig, keys
from liverspleen.errors import InputError, Issue
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of, write_json
from liverspleen.sweep.leaderboard import write_leaderboard
from liverspleen.sweep.locks import exclusive
from liverspleen.sweep.plan import Plan
from liverspleen.sweep.results import OBJECTIVES
from liverspleen.sweep.space import Space, words
from liverspleen.sweep.study import PRUNERS, SAMPLERS, Study
from liverspleen.sweep.submission import submit
from liverspleen.sweep.training import Interrupted, StopSignals
from liverspleen.sweep.worker import Sweep, Worker

_PROGRAM = (sys.executable, "-m", "liverspleen.cli.trial")

_OWN = {"cohort", "root", "split", "store", "output", "seed", "vocabulary", "logger", "train_fraction"}
"""Of train: what all trials share or each trial has its own of, so that it cannot be searched."""


def run(config: SweepConfig, given: Sequence[str]) -> Sequence[Issue]:
    """Be a worker of the study, or start several."""
    base = _base(given)
    if issues := _contradictions(config, base):
        raise InputError(issues)
    if config.launcher.name == "slurm":
        return _submitted(config, given)
    workers = config.workers or _devices()
    if workers > 1:
        return _several(config, given, workers)
    with ExitStack() as last:
        with recorded("sweep", _shown(config), config.output, command=_command(config)) as record:
            record.issues.extend(_work(config, base, record))
            last.enter_context(exclusive(config.output / ".lock"))  # workers write their records in turn
        return tuple(record.issues)


def _submitted(config: SweepConfig, given: Sequence[str]) -> Sequence[Issue]:
    """Submit workers as SLURM jobs and leave them alone."""
    choice = asdict(config.launcher)
    del choice["name"]
    own = [word for word in given if word.partition("=")[0].partition(".")[0] not in {"launcher", "workers"}]
    folder = config.output / "submitit"
    ids = submit(["sweep", *own], folder, **choice)
    print(f"sweep: {len(ids)} jobs: {' '.join(ids)}; see squeue, and their logs in {folder}")
    return []


def _work(config: SweepConfig, base: list[str], record: Run) -> list[Issue]:
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
    record.outputs += [config.output / name for name in names]
    print((config.output / "leaderboard.md").read_text(encoding="utf-8").split("\n\n")[1].strip("*"))
    print(f"sweep: open {config.output / 'leaderboard.html'}")
    return []


def _sweep(config: SweepConfig, base: list[str], record: Run) -> Sweep:
    """The study, begun or joined.

    Raises:
        InputError: nobody validates, or the study was begun as another one.
    """
    out, search = config.output, config.search
    out.mkdir(parents=True, exist_ok=True)
    with exclusive(out / ".lock"):
        cohort = assemble.cohort(config.cohort, config, table=out / "cohort.csv")
        record.issues.extend(cohort.issues)
        split, split_file = split_of(config, cohort)
        validation = split.cases(cohort, SIDES[1])
        if not validation:
            message = "the split has no validation side, so that nothing tells one configuration from another"
            raise InputError(
                Issue("LS-SWP-004", message, "give a split with one, or train_fraction=0.8", file=split_file)
            )
        record.inputs |= {"cohort": cohort.hash, "split": sha256_of(split_file)}
        record.seeds["sweep"] = config.seed
        name = config.study or _name(out)
        # a name of a folder may hold ? and %, which mean something in a URL
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
        study.agree(_identity(config, record))
        space, plan = Space.of(search.parameters), _plan(config)
        about: dict[str, Any] = {"study": name, "objectives": config.objectives, "trials": plan.trials}
        about |= {"leaders": plan.leaders, "seeds": plan.seeds, "search": asdict(search), "base": base}
        write_json(out / "study.json", about)
    store = config.store or out / "store"
    fixed = [f"split={split_file.resolve()}", f"store={store.resolve()}", f"logger.wandb_group={verbatim(name)}"]
    return Sweep(
        folder=out.resolve(),
        study=study,
        space=space,
        plan=plan,
        objectives=tuple(config.objectives),
        command=(*_PROGRAM, "train", *base, *fixed),
        conditions={case.case_id: case.condition for case in validation},
        prunes=search.pruner != "none",
        say=lambda line: print(line, flush=True),
    )


def _name(folder: Path) -> str:
    """Of the study that a folder holds, also when the folder was renamed; else that of the folder."""
    try:
        return str(json.loads((folder / "study.json").read_text(encoding="utf-8"))["study"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.resolve().name


def _plan(config: SweepConfig) -> Plan:
    grid = tuple(Space.of(config.search.parameters).grid()) if config.search.sampler == "grid" else ()
    return Plan(
        trials=config.trials or len(grid),
        leaders=config.leaders,
        seeds=config.seeds,
        highest_is_best=OBJECTIVES[config.objectives[0]] == "maximize",
        grid=grid,
        seed=config.seed,
    )


def _identity(config: SweepConfig, record: Run) -> dict[str, Any]:
    """What must be the same for all workers of a study, by key."""
    search = config.search
    parameters = {f"search.parameters.{name}": value for name, value in search.parameters.items()}
    recipe = {
        f"{group.name}.{name}": str(value)
        for group in fields(TrainConfig)
        if group.name not in _OWN
        for name, value in asdict(getattr(config, group.name)).items()
        if (group.name, name) != ("trainer", "workers")  # no weight depends on them
    }
    chosen = {"search.sampler": search.sampler, "search.pruner": search.pruner, "objectives": config.objectives}
    return {**recipe, **parameters, **chosen, "seed": config.seed, **record.inputs}


def _base(given: Sequence[str]) -> list[str]:
    """Of the words of the command line those that every trial is given."""
    own = {field.name for field in fields(SweepConfig)} - {field.name for field in fields(TrainConfig)}
    replaced = own | {"output", "split", "store", "seed"}
    return [word for word in given if word.partition("=")[0].partition(".")[0] not in replaced]


def _contradictions(config: SweepConfig, base: Sequence[str]) -> list[Issue]:
    """All that can be known before the first trial."""
    search, names = config.search, list(OBJECTIVES)
    found = [
        (search.sampler not in SAMPLERS, f"search.sampler={search.sampler}", f"use {', '.join(SAMPLERS)}"),
        (search.pruner not in PRUNERS, f"search.pruner={search.pruner}", f"use {', '.join(PRUNERS)}"),
        (not config.objectives, "objectives=[] leaves nothing to aim at", f"use some of {', '.join(names)}"),
        *((name not in names, f"objectives holds {name}", f"use {', '.join(names)}") for name in config.objectives),
        (len(set(config.objectives)) < len(config.objectives), "an objective stands twice", "name each once"),
        (
            search.pruner != "none" and config.objectives != ["dss"],
            f"search.pruner={search.pruner} with objectives={config.objectives}",
            "use objectives=[dss], the only one known before a training ends, or search.pruner=none",
        ),
        (config.trials is not None and config.trials < 1, f"trials={config.trials}", "use 1 or more"),
        (config.leaders < 1, f"leaders={config.leaders}", "use 1 or more"),
        (config.seeds < 0, f"seeds={config.seeds}", "use 0 (no choice is made) or more"),
        (config.workers < 0, f"workers={config.workers}", "use 0 (one, or one per GPU) or more"),
        *_launcher_contradictions(config),
    ]
    issues = [Issue("LS-CFG-006", message, hint) for wrong, message, hint in found if wrong]
    if issues:
        return issues
    try:
        space = Space.of(search.parameters)
    except ValueError as error:
        return [Issue("LS-SWP-002", f"search: {error}", "correct the file of search= in conf/search")]
    if search.sampler == "grid" and space.size is None:
        return [Issue("LS-SWP-002", "a grid needs choices, or ranges with step", "add step, or use search.sampler=tpe")]
    if search.sampler != "grid" and config.trials is None:
        return [Issue("LS-CFG-002", "sweep needs trials=... (finished trials of the search)", "add trials=20")]
    return list(_unusable(config, space, base))


def _launcher_contradictions(config: SweepConfig) -> list[tuple[bool, str, str]]:
    """Whether it is wrong, what, and what to use."""
    choice = config.launcher
    slurm = choice.name == "slurm"
    return [
        (choice.name not in {"local", "slurm"}, f"launcher.name={choice.name}", "use local or slurm"),
        (slurm and choice.jobs < 1, f"launcher.jobs={choice.jobs}", "use 1 or more"),
        (slurm and choice.time_min < 5, f"launcher.time_min={choice.time_min}", "use 5 minutes or more"),
        (slurm and choice.cpus < 1, f"launcher.cpus={choice.cpus}", "use 1 or more"),
        (
            slurm and config.workers != 1,
            f"workers={config.workers} with launcher=slurm",
            "use launcher.jobs= for the number of workers; each job is one",
        ),
        (
            slurm and _without_password(config.storage) != config.storage,
            "storage= holds a password, which the files of the jobs would keep",
            "leave it out of storage=, and put it into ~/.pgpass or the like",
        ),
    ]


def _unusable(config: SweepConfig, space: Space, base: Sequence[str]) -> Iterator[Issue]:
    """Parameters that cannot be searched, and values that no training can be made of."""
    if assemble.ranks(config) > 1:
        yield _several_devices(f"trainer.devices={config.trainer.devices} trainer.nodes={config.trainer.nodes}")
        return
    known = {key.name for key in keys(TrainConfig)} | (groups().keys() & {field.name for field in fields(TrainConfig)})
    said = {word.partition("=")[0] for word in base}
    for parameter in space.parameters:
        name = parameter.name
        if name.partition(".")[0] in _OWN or name not in known | {"experiment"}:
            message = f"search: {name} is no key or group of train that can be searched"
            yield Issue("LS-SWP-003", message, "see liverspleen train --help; data, seeds and folders are not searched")
        elif name in said:
            yield Issue("LS-SWP-005", f"{name} is searched, and given as {name}=", "leave one of the two out")
        else:
            for value in parameter.extremes():
                yield from _untrainable(base, words({name: value}))


def _untrainable(base: Sequence[str], chosen: Sequence[str]) -> Iterator[Issue]:
    try:
        config: TrainConfig = compose_verb("train", [*base, *chosen, "output=trial"])
    except InputError as error:
        yield from error.issues
        return
    if assemble.ranks(config) > 1:
        yield _several_devices(" ".join(chosen))
    else:
        yield from assemble.contradictions(config)


def _several_devices(message: str) -> Issue:
    hint = "use workers= for a trial on each GPU, and liverspleen train trainer=ddp for one training on all of them"
    return Issue("LS-SWP-001", f"a trial trains on one device, not with {message}", hint)


def _devices() -> int:
    """GPUs of this machine, at least 1."""
    import torch

    return max(1, torch.cuda.device_count())


def _several(config: SweepConfig, given: Sequence[str], workers: int) -> Sequence[Issue]:
    """Start workers with a device each and wait for them; they end when this process does."""
    own = [word for word in given if word.partition("=")[0] != "workers"]
    with StopSignals() as stop:
        processes = [
            subprocess.Popen(
                [*_PROGRAM, "sweep", *own, "workers=1"],
                stdin=subprocess.PIPE,
                env={**os.environ, **_share(index, workers)},
                start_new_session=True,
            )
            for index in range(workers)
        ]
        told = 0
        while any(_runs(process) for process in processes):
            if told < stop.count:
                told = stop.count
                for process in processes:
                    process.terminate()
    codes = [process.returncode for process in processes]
    if told:
        raise KeyboardInterrupt
    if 2 in codes:
        raise SystemExit(2)  # told by the workers
    if all(codes):
        message, hint = f"all {workers} workers ended early", "see what they told, then run the same command to go on"
        return [Issue("LS-SWP-011", message, hint)]
    if any(codes):
        message = f"{sum(map(bool, codes))} of {workers} workers ended early; the others did the rest"
        return [Issue("LS-SWP-011", message, "see what it told", severity="warning")]
    return []


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return True
    return False


def _share(index: int, workers: int) -> dict[str, str]:
    """Environment of one worker of several: its GPU, and its part of the cores."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // workers))
    # an empty word hides all of them
    devices = [str(device) for device in range(_devices())] if told is None else told.split(",")
    return {"CUDA_VISIBLE_DEVICES": devices[index % len(devices)], "OMP_NUM_THREADS": threads}


def _shown(config: SweepConfig) -> dict[str, Any]:
    """The configuration without the password that a database URL may hold."""
    return {**asdict(config), "storage": _without_password(config.storage)}


def _command(config: SweepConfig) -> list[str] | None:
    """The command line likewise; None where there is nothing to hide."""
    if config.storage is None:
        return None
    shown = f"storage={_without_password(config.storage)}"
    return [shown if word.startswith("storage=") else word for word in sys.argv]


def _without_password(url: str | None) -> str | None:
    """A database URL, its password hidden wherever it stands: before the host, or among the options."""
    if url is None:
        return None
    kind, slashes, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    place = place if at else re.sub(r"^([^:/]*):(?!\d*(/|$))[^/]*", r"\1:***", place)  # the host was forgotten
    shown = f"{kind}{slashes}{user}{':***' if colon else ''}{at}{place}"
    return re.sub(r"(?i)(pass\w*|pwd)=[^&]*", r"\1=***", shown)
