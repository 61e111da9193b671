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

from collections.abc import Sequence

from liverspleen.api.sweep import run_sweep
from liverspleen.config import SweepConfig
from liverspleen.errors import InputError, Issue
from liverspleen.sweep.database import without_password
from liverspleen.sweep.results import OBJECTIVES
from liverspleen.sweep.study import PRUNERS, SAMPLERS


def run(config: SweepConfig, given: Sequence[str]) -> Sequence[Issue]:
    """Be a worker of the study, or start several."""
    if issues := _contradictions(config):
        raise InputError(issues)
    return run_sweep(config, given)


def _contradictions(config: SweepConfig) -> list[Issue]:
    """Values out of range."""
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
    return [Issue("LS-CFG-006", message, hint) for wrong, message, hint in found if wrong]


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
            slurm and without_password(config.storage) != config.storage,
            "storage= holds a password, which the files of the jobs would keep",
            "leave it out of storage=, and put it into ~/.pgpass or the like",
        ),
    ]
