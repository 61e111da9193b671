"""search architecture and hyperparameters, and test the best configurations with new seeds.

Search: each trial is a `liverspleen train` with the options given here and the values chosen by search=, in its own
process and folder, with its own seed, on one device. Confirmation: the leaders= best configurations are trained again
with seeds= new seeds each and compared on the validation cases. A winner is reported only if it is better than every
other leader by more than the variation of seeds and cases. Test sets are not used.

A trial that fails, is killed, runs out of memory or returns NaN or inf is recorded with the reason, and the sweep
continues. The same command resumes an interrupted sweep, including unfinished trials, and ends at exactly trials=
finished trials. If the command runs several times at once, also on other machines, each run is a worker of the same
study (storage= is a database URL for machines without a shared file system). workers= starts several workers here, each
with its own GPU or a fraction of the cores. launcher=slurm submits launcher.jobs= workers as SLURM jobs and returns; a
job that reaches its time limit is requeued and resumes (docs/clusters.md).

A search is a file in conf/search: keys or config groups of train, each with its choices or limits.

examples
  liverspleen sweep cohort=cohort.csv output=outputs/sweep experiment=phantom trainer.steps=300 trials=20

inputs
  the keys of liverspleen train; search= and the keys below

outputs, in output=
  trials.csv                      state, reason, seed, time, parameters and objectives of each trial
  trial_cases.csv                 results of each validation case in each trial
  leaderboard.csv, .md, .html     ranked configurations with intervals, and the importance of parameters
  choice.json                     the winner, or that no difference was shown
  trials/0000, ...                output of liverspleen train, with log.txt
  study.db, study.json            database of the study; its search space and settings
  run.json                        command, configuration, versions and hashes

exit codes
  0: finished, even if trials failed; 2: the input was rejected, each issue listed; 1: interrupted, or failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.sweep import run_sweep
from liverspleen.config import SweepConfig
from liverspleen.errors import Issue


def run(config: SweepConfig, given: Sequence[str]) -> Sequence[Issue]:
    """Run one worker of the study, or start several."""
    return run_sweep(config, given)
