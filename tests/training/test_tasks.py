import pytest

from liverspleen.config import compose
from liverspleen.training.tasks import task_issues

STEP = {"SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "train"}
ONE, TWO = ("trainer=default",), ("trainer=ddp",)
NODES = (*TWO, "trainer.nodes=2")


def job(tasks: int, per_node: int | None = None, nodes: int = 1, **more: str) -> dict[str, str]:
    per_node_variable = {} if per_node is None else {"SLURM_NTASKS_PER_NODE": str(per_node)}
    return {**STEP, "SLURM_NTASKS": str(tasks), "SLURM_NNODES": str(nodes), **per_node_variable, **more}


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (ONE, {}),
        (TWO, {}),  # the first rank starts the other
        (ONE, job(1)),
        (ONE, job(1, 1)),
        (TWO, job(2, 2)),
        (NODES, job(4, 2, 2)),
        (TWO, job(1, TORCHELASTIC_RUN_ID="none")),  # one task that runs torchrun
        (TWO, job(1, SLURM_JOB_NAME="interactive")),
    ],
)
def test_matching_tasks_give_no_issue(words: tuple[str, ...], environment: dict[str, str]) -> None:
    config = compose("train", ["cohort=c", "output=o", *words])
    assert task_issues(environment, devices=config.trainer.devices, nodes=config.trainer.nodes) == []


@pytest.mark.parametrize(
    ("words", "environment", "hint"),
    [
        (TWO, job(1, 1), "use #SBATCH --nodes=1 --ntasks-per-node=2, or trainer.devices=1 trainer.nodes=1"),
        (ONE, job(2, 2), "use #SBATCH --nodes=1 --ntasks-per-node=1, or trainer.devices=2 trainer.nodes=1"),
        (NODES, job(2, 2), "use #SBATCH --nodes=2 --ntasks-per-node=2, or trainer.devices=2 trainer.nodes=1"),
        (TWO, job(2), "use #SBATCH --nodes=1 --ntasks-per-node=2"),
        (TWO, {k: v for k, v in job(2, 2).items() if k != "SLURM_STEP_ID"}, "write srun before liverspleen train"),
    ],
)
def test_tasks_that_do_not_match_give_one_issue_with_the_hint(
    words: tuple[str, ...], environment: dict[str, str], hint: str
) -> None:
    config = compose("train", ["cohort=c", "output=o", *words])
    (issue,) = task_issues(environment, devices=config.trainer.devices, nodes=config.trainer.nodes)
    assert (issue.code, issue.hint) == ("LS-TRN-014", hint)
