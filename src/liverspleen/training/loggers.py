"""The loggers beside `metrics.csv`: TensorBoard, MLflow, Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from pytorch_lightning.loggers import Logger

from liverspleen.errors import Issue
from liverspleen.reading import read_text
from liverspleen.storage import write_text
from liverspleen.training.side_logger import SideLogger

WANDB_SETTINGS: Final[Mapping[str, Any]] = {
    "init_timeout": 20,  # seconds; W&B delays the end of the process until then
    "finish_timeout": 20,
    "x_disable_meta": True,  # command line, host, user, folders
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "console": "off",
    "host": "not recorded",
}
"""Settings of W&B: an external service receives the metrics, the recipe and, with `images`, the images only."""


def side_loggers(
    choice: Mapping[str, Any], output: Path, recipe: Mapping[str, Any], issues: list[Issue], *, start: int
) -> Iterator[SideLogger]:
    """Yield the loggers that `choice`, the keys of `logger`, selects; their failures are added to `issues`.

    Args:
        choice: keys of `logger`, by name.
        output: folder of the training.
        recipe: what a service may receive about the training.
        issues: list of warnings.
        start: steps of the training so far; a resumed training continues the run of each logger.
    """

    # each is created in the thread of its SideLogger: only in the first rank, and where a full disk is only a warning
    def tensorboard() -> Any:
        from liverspleen.training.tensorboard import TensorBoardFile

        return TensorBoardFile(output / "tensorboard", start=start)

    def mlflow() -> Any:
        from liverspleen.training.mlflow_run import MLflowRun

        return MLflowRun(output / "mlflow", choice["mlflow_uri"], choice["mlflow_experiment"], recipe)

    def wandb() -> Logger:
        from pytorch_lightning.loggers import WandbLogger

        name, offline, run = choice["wandb_project"], choice["wandb_offline"], _wandb_id(output / "wandb_id")
        place: dict[str, Any] = {"project": name, "offline": offline, "save_dir": output, "id": run}
        return WandbLogger(**place, group=choice["wandb_group"], config=dict(recipe), settings=dict(WANDB_SETTINGS))

    makers = {"tensorboard": ("TensorBoard", tensorboard), "mlflow": ("MLflow", mlflow)}
    makers |= {"wandb": ("Weights & Biases", wandb)}
    yield from (SideLogger(name, make, issues) for key, (name, make) in makers.items() if choice[key])


def _wandb_id(file: Path) -> str:
    """Return the id of the W&B run of an output folder, which stays the same when the training resumes."""
    if not file.exists():
        write_text(file, uuid4().hex[:8] + "\n")
    return read_text(file).strip()
