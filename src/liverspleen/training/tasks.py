"""The processes of one training: which one is first, and whether SLURM started as many as are needed.

Lightning would report missing tasks late, as a failure of its own, or wait for them for ever.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from liverspleen.errors import Issue

_INTERACTIVE = ("bash", "interactive")  # names of jobs in which Lightning looks away from SLURM


def is_first_process() -> bool:
    """Whether this process is rank 0, which writes and reports, whoever started the ranks."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def task_issues(environment: Mapping[str, str], *, devices: int, nodes: int) -> list[Issue]:
    """How the tasks of a SLURM job contradict `trainer.devices` and `trainer.nodes`; empty outside SLURM.

    One task is one process on one device, as in other trainings with Lightning.
    """
    tasks = int(environment.get("SLURM_NTASKS") or 0)
    if not tasks or "TORCHELASTIC_RUN_ID" in environment or environment.get("SLURM_JOB_NAME") in _INTERACTIVE:
        return []
    asked = f"#SBATCH --nodes={nodes} --ntasks-per-node={devices}"
    per_node, on = environment.get("SLURM_NTASKS_PER_NODE"), environment.get("SLURM_NNODES", "1")
    if (int(per_node or tasks), int(on)) != (devices, nodes):
        message = f"SLURM has {per_node or tasks} tasks on each of {on} nodes"
        message += f", but trainer.devices={devices} trainer.nodes={nodes} need a task per device"
        hint = f"use {asked}, or trainer.devices={per_node or tasks} trainer.nodes={on}"
    elif per_node is None and tasks > 1:
        message, hint = f"--ntasks={tasks} does not say how the tasks lie on the nodes", f"use {asked}"
    elif tasks > 1 and "SLURM_STEP_ID" not in environment:
        message = f"the job has {tasks} tasks, but this process was started without srun and the others are missing"
        hint = "write srun before liverspleen train"
    else:
        return []
    return [Issue("LS-TRN-014", message, hint)]
