"""A run of MLflow, in a database of the output folder or at a tracking server."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverspleen.reading import read_text
from liverspleen.storage import write_text

_RETRIES: Final = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_MOST_PARAMETERS: Final = 100  # of MLflow, in one request


class MLflowRun:
    """Logs to the run of an output folder, which is created once; a resumed training continues it.

    Args:
        folder: holds `run_id` and, without a server, `mlflow.db` and the images.
        uri: URL of the tracking server; None: the database in `folder`.
        experiment: name of the experiment, created if it does not exist.
        recipe: parameters of a new run, nested.
    """

    def __init__(self, folder: Path, uri: str | None, experiment: str, recipe: Mapping[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("mlflow", "urllib3", "alembic"):  # SideLogger reports errors
            logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module="mlflow")  # it calls deprecated functions
        from mlflow.tracking import MlflowClient

        folder.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=uri or f"sqlite:///{(folder / 'mlflow.db').resolve()}")
        with _one_retry():
            images = None if uri else (folder / "images").resolve().as_uri()
            self._run = self._known(folder / "run_id") or self._new(folder / "run_id", experiment, images, recipe)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log all metrics except `epoch`, because trainings count in steps."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        rows = [Metric(name, value, now, step or 0) for name, value in sorted(metrics.items()) if name != "epoch"]
        self._client.log_batch(self._run, metrics=rows)

    def log_image(self, key: str, images: Sequence[NDArray[np.uint8]], *, step: int) -> None:
        """Log RGB images (row, column, 3)."""
        for image in images:
            self._client.log_image(self._run, image, key=key, step=step, synchronous=True)

    def finalize(self, status: str) -> None:
        """End the run; it is open again if the training resumes."""
        self._client.set_terminated(self._run, "FINISHED" if status == "success" else "FAILED")

    def _known(self, file: Path) -> str | None:
        """Return the run of an earlier training in this folder; None if there is none, or it was deleted."""
        from mlflow.exceptions import MlflowException

        with suppress(MlflowException, FileNotFoundError):
            run: str = self._client.get_run(read_text(file).strip()).info.run_id
            self._client.update_run(run, status="RUNNING")
            return run
        return None

    def _new(self, file: Path, name: str, images: str | None, recipe: Mapping[str, Any]) -> str:
        from mlflow.entities import Param

        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name, artifact_location=images)
        run: str = self._client.create_run(experiment).info.run_id
        write_text(file, run + "\n")
        parameters = [Param(key, value) for key, value in _flat(recipe)]
        for first in range(0, len(parameters), _MOST_PARAMETERS):
            self._client.log_batch(run, params=parameters[first : first + _MOST_PARAMETERS])
        return run


def _flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys and texts of nested values."""
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


@contextmanager
def _one_retry() -> Iterator[None]:
    """Retry a request once in this block, so that an absent server is an error soon; later requests are patient."""
    if _RETRIES in os.environ:
        yield
        return
    os.environ[_RETRIES] = "1"
    try:
        yield
    finally:
        os.environ.pop(_RETRIES, None)
