"""SLURM jobs that run a command; a job that reaches its time limit is requeued and resumes.

Only this module imports submitit. submitit stores the command of each job as a pickle, which the job loads: a user who
can write into that folder can run code as the user of the jobs.
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

# SLURM sends it to every process of a job. A training saves its state and stops; USR2, submitit's default, kills it.
_SIGNAL: Final = "USR1"
_SIGNAL_BEFORE_END_S: Final = 120
_STOPPING_S: Final = 90  # time to end a step or a validation and save; then the job is requeued in any case
_REQUEUES: Final = 1000
_POLL_S: Final = 0.2


class Command:
    """`liverspleen` with these arguments, as a process; submitit calls `checkpoint` before it requeues the job."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = tuple(arguments)
        self._process = 0

    def __call__(self) -> int:
        """Run the command and return its exit code.

        Raises:
            SystemExit: the exit code is not 0; SLURM then marks the job as failed.
        """
        command = [sys.executable, "-m", "liverspleen", *self.arguments]
        self._process = os.posix_spawn(sys.executable, command, os.environ)
        code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        if code:
            raise SystemExit(code)
        return code

    def checkpoint(self) -> Any:
        """Stop the command, and return the same command for submitit."""
        from submitit.helpers import DelayedSubmission

        end = time.monotonic() + _STOPPING_S
        try:
            os.kill(self._process, signal.SIGTERM)
            while not os.waitpid(self._process, os.WNOHANG)[0] and time.monotonic() < end:
                time.sleep(_POLL_S)
        except (ProcessLookupError, ChildProcessError):
            pass  # it has ended
        return DelayedSubmission(Command(self.arguments))


def submit(
    arguments: Sequence[str],
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
    """Submit jobs that each run `liverspleen` with these arguments in the current working directory.

    Args:
        arguments: of the command line.
        folder: for batch scripts, logs and files of submitit; all nodes must be able to read it.
        jobs: number of jobs.
        time_min: time limit of each; a command that is not finished by then is stopped, requeued and resumed.
        partition: of the cluster; None for the default.
        gpus: of each job; None requests none.
        cpus: of each job.
        mem_gb: of each job; None for the default of the cluster.
        options: further options of `sbatch`, by their long names.

    Returns:
        Ids of the jobs.

    Raises:
        InputError: LS-SWP-030, submitit is not installed; LS-SWP-031, SLURM is not found; LS-SWP-032, sbatch rejects
            the jobs.
    """
    if missing := [name for name in ("sbatch", "srun", "scontrol") if shutil.which(name) is None]:
        message = f"launcher=slurm, but {', '.join(missing)} not found on the PATH"
        raise InputError(
            Issue("LS-SWP-031", message, "run this command on a login node of the cluster, or remove launcher=")
        )
    try:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError as error:
        message = "launcher=slurm needs submitit, which is not installed"
        raise InputError(Issue("LS-SWP-030", message, "run pip install 'liverspleen[slurm]'")) from error
    requested = {
        "partition": partition,
        "gpus_per_node": gpus,
        "mem": None if mem_gb is None else f"{mem_gb * 1024:.0f}M",
    }
    executor = SlurmExecutor(folder, max_num_timeout=_REQUEUES)
    try:
        executor.update_parameters(
            job_name=f"liverspleen-{arguments[0]}",
            time=time_min,
            cpus_per_task=cpus,
            srun_args=[f"--cpus-per-task={cpus}"],  # srun does not inherit it from sbatch since 22.05
            setup=[f"export SUBMITIT_PREEMPT_SIGNAL={_SIGNAL}"],
            stderr_to_stdout=True,
            additional_parameters={"requeue": True, "signal": f"{_SIGNAL}@{_SIGNAL_BEFORE_END_S}", **options},
            **{name: value for name, value in requested.items() if value is not None},
        )
        return [job.job_id for job in executor.submit_array([Command(arguments)] * jobs)]
    except (FailedJobError, FailedSubmissionError) as error:
        last = str(error).strip().splitlines()[-1]
        hint = "correct launcher.*; sinfo lists the resources of the cluster"
        raise InputError(Issue("LS-SWP-032", f"sbatch rejects the jobs: {last}", hint)) from error
