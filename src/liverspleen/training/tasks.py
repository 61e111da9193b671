"""The processes of a training: the first one, and the check that SLURM started the required number.

Lightning would report missing tasks late with an error of its own, or wait for them forever.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from liverspleen.errors import Issue, counted

_INTERACTIVE = ("bash", "interactive")  # names of jobs in which Lightning ignores SLURM


def is_first_process() -> bool:
    """Return whether this process is rank 0, which writes and reports, for any launcher."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def task_issues(environment: Mapping[str, str], *, devices: int, nodes: int) -> list[Issue]:
    """Return an issue if the tasks of a SLURM job contradict `trainer.devices` and `trainer.nodes`.

    One task is one process on one device, as in other trainings with Lightning. Outside SLURM there is no issue.
    """
    tasks = int(environment.get("SLURM_NTASKS") or 0)
    if not tasks or "TORCHELASTIC_RUN_ID" in environment or environment.get("SLURM_JOB_NAME") in _INTERACTIVE:
        return []
    request = f"#SBATCH --nodes={nodes} --ntasks-per-node={devices}"
    per_node, job_nodes = environment.get("SLURM_NTASKS_PER_NODE"), int(environment.get("SLURM_NNODES", "1"))
    job_tasks = int(per_node or tasks)
    if (job_tasks, job_nodes) != (devices, nodes):
        message = f"SLURM has {counted(job_tasks, 'task')} per node on {counted(job_nodes, 'node')}"
        message += f", but trainer.devices={devices} trainer.nodes={nodes} need one task per device"
        hint = f"use {request}, or trainer.devices={job_tasks} trainer.nodes={job_nodes}"
    elif per_node is None and tasks > 1:
        message, hint = f"--ntasks={tasks} does not give the number of tasks per node", f"use {request}"
    elif tasks > 1 and "SLURM_STEP_ID" not in environment:
        message = f"the job has {tasks} tasks, but this process was started without srun and the others are missing"
        hint = "write srun before liverspleen train"
    else:
        return []
    return [Issue("LS-TRN-014", message, hint)]
