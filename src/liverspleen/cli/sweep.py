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
  leaderboard.csv, .md, .html     configurations in order, with intervals, and the importance of parameters
  choice.json                     the winner, or that no difference was shown
  trials/0000, ...                folders of liverspleen train, each with log.txt
  study.db, study.json, run.json  the study; what is searched; what made them

exit codes
  0 done, failed trials included; 2 input rejected; 1 interrupted or failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.sweep import run_sweep
from liverspleen.config import SweepConfig
from liverspleen.errors import Issue


def run(config: SweepConfig, given: Sequence[str]) -> Sequence[Issue]:
    """Be a worker of the study, or start several."""
    return run_sweep(config, given)
