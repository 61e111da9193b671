"""Whether the tasks that SLURM started are the processes that a training needs.

Lightning would tell it late, as a failure of its own, or wait for ever for those that are missing.
"""

from __future__ import annotations

from collections.abc import Mapping

from liverspleen.config import TrainerConfig
from liverspleen.errors import Issue

_INTERACTIVE = ("bash", "interactive")  # names of jobs in which Lightning looks away from SLURM


def task_issues(choice: TrainerConfig, environment: Mapping[str, str]) -> list[Issue]:
    """What of a SLURM job's tasks contradicts `trainer.devices` and `trainer.nodes`; nothing outside of SLURM.

    One task is one process on one device, as in other trainings with Lightning.
    """
    tasks = int(environment.get("SLURM_NTASKS") or 0)
    if not tasks or "TORCHELASTIC_RUN_ID" in environment or environment.get("SLURM_JOB_NAME") in _INTERACTIVE:
        return []
    devices, nodes = choice.devices, choice.nodes
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
