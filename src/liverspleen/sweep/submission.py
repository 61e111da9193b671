"""A command as SLURM jobs, which go back into the queue when their time is up and go on there.

The door of submitit. It keeps in its folder what each job runs as a pickle, and jobs load it again: whoever may write
into that folder may run code as the user whose jobs they are.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue

# SLURM sends it to every process of a job: a training saves its step and stops. By submitit's own USR2 it would die.
_SIGNAL: Final = "USR1"
_BEFORE_S: Final = 120  # the end of the job
_STOPPING_S: Final = 90  # for a step or a validation and the saving; after that the job is requeued as it is
_REQUEUES: Final = 1000
_EVERY_S: Final = 0.2


class Command:
    """`liverspleen WORDS` as a process; submitit calls `checkpoint` before the job goes into the queue again."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._process = 0

    def __call__(self) -> int:
        """Exit code of the command.

        Raises:
            SystemExit: it is not 0, so that SLURM takes the job for failed.
        """
        command = [sys.executable, "-m", "liverspleen", *self.words]
        self._process = os.posix_spawn(sys.executable, command, os.environ)
        code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        if code:
            raise SystemExit(code)
        return code

    def checkpoint(self) -> Any:
        """The same command, once this one has stopped."""
        from submitit.helpers import DelayedSubmission

        end = time.monotonic() + _STOPPING_S
        try:
            os.kill(self._process, signal.SIGTERM)
            while not os.waitpid(self._process, os.WNOHANG)[0] and time.monotonic() < end:
                time.sleep(_EVERY_S)
        except (ProcessLookupError, ChildProcessError):
            pass  # it has ended by itself
        return DelayedSubmission(Command(self.words))


def submit(
    words: Sequence[str],
    folder: Path,
    *,
    jobs: int,
    time_min: int,
    partition: str | None,
    gpus: int | None,
    cpus: int,
    mem_gb: float | None,
    options: Mapping[str, Any],
) -> list[str]:
    """Submit jobs that each run `liverspleen` with these words in the folder that this process is in.

    Args:
        words: of the command line, after the program's name.
        folder: for batch scripts, logs and submitit's own files; all nodes must see it.
        jobs: how many.
        time_min: of each; a command that is not done by then is stopped, requeued and run again.
        partition: of the cluster; None for its default.
        gpus: of each job; None to ask for none.
        cpus: of each job.
        mem_gb: of each job; None for the cluster's default.
        options: more options of `sbatch`, by their long names.

    Returns:
        The jobs' ids.

    Raises:
        InputError: LS-SWP-030 submitit is not installed, LS-SWP-031 there is no SLURM, LS-SWP-032 it rejects the jobs.
    """
    if lacking := [name for name in ("sbatch", "srun", "scontrol") if shutil.which(name) is None]:
        message = f"launcher=slurm, but {', '.join(lacking)} is not on the PATH"
        raise InputError(
            Issue("LS-SWP-031", message, "run this on a login node of the cluster, or leave launcher= out")
        )
    try:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError as error:
        message = "launcher=slurm needs submitit, which is not installed"
        raise InputError(Issue("LS-SWP-030", message, "pip install 'liverspleen[slurm]'")) from error
    asked = {"partition": partition, "gpus_per_node": gpus, "mem": None if mem_gb is None else f"{mem_gb * 1024:.0f}M"}
    executor = SlurmExecutor(folder, max_num_timeout=_REQUEUES)
    try:
        executor.update_parameters(
            job_name=f"liverspleen-{words[0]}",
            time=time_min,
            cpus_per_task=cpus,
            srun_args=[f"--cpus-per-task={cpus}"],  # srun of 22.05 and later does not take that of sbatch
            setup=[f"export SUBMITIT_PREEMPT_SIGNAL={_SIGNAL}"],
            stderr_to_stdout=True,
            additional_parameters={"requeue": True, "signal": f"{_SIGNAL}@{_BEFORE_S}", **options},
            **{name: value for name, value in asked.items() if value is not None},
        )
        return [job.job_id for job in executor.submit_array([Command(words)] * jobs)]
    except (FailedJobError, FailedSubmissionError) as error:
        last = str(error).strip().splitlines()[-1]
        hint = "correct launcher.*, or ask the cluster what it has with sinfo"
        raise InputError(Issue("LS-SWP-032", f"sbatch rejects the jobs: {last}", hint)) from error
