"""`metrics.csv`, the metrics during a training, and `validation.csv`, its last validation; both support resuming."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from liverspleen.data.cache import CachedCase
from liverspleen.reading import invalid_record, read_csv
from liverspleen.spreadsheet import csv_text
from liverspleen.storage import write_text
from liverspleen.training.gauges import Gauges
from liverspleen.training.module import SegmentationModule

_HEADER = ("step", "metric", "value", "learning_rate", "time_s", "peak_memory_mb")
VALIDATION_COLUMNS = ("case_id", "structure", "dss", "volume_cm3", "reference_cm3")


class MetricsFile(Logger):
    """Appends `step,metric,value,learning_rate,time_s,peak_memory_mb` to a CSV file.

    `step` counts from 0. `learning_rate` is that of the step, `time_s` the time of the training so far and
    `peak_memory_mb` the peak memory of the first rank (see `Gauges`); unknown values are empty.

    A training that resumes after `start` steps keeps the rows before that step and removes later rows of the
    interrupted run, so that the file equals that of an uninterrupted training, except for time and memory. Rows of an
    earlier version have no values after `value`.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "metrics.csv"
    >>> MetricsFile(file, start=0, gauges=Gauges()).log_metrics({"train/loss": 0.5}, 10)
    >>> file.read_text().splitlines()[0]
    'step,metric,value,learning_rate,time_s,peak_memory_mb'
    """

    def __init__(self, file: Path, *, start: int, gauges: Gauges) -> None:
        super().__init__()
        self.file, self.start, self.gauges = file, start, gauges
        self._started = False

    def _start(self, start: int) -> None:
        rows: list[list[str]] = []
        if start and self.file.exists():
            try:
                header, *found = read_csv(self.file) or [[]]
                whole = [row for row in found if len(row) == len(header)]  # the last row may be incomplete
                rows = [row for row in whole if int(row[0]) < start]
            except (ValueError, csv.Error) as error:
                raise invalid_record(self.file, error, hint="remove the file, or restore it") from error
        empty = [""] * len(_HEADER)
        write_text(self.file, csv_text([[*row, *empty[len(row) :]] for row in [_HEADER, *rows]]))

    @property
    def name(self) -> str:
        """Name of this logger."""
        return "metrics"

    @property
    def version(self) -> str:
        """Version for Lightning, always 0."""
        return "0"

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing; the configuration is in `run.json`."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row per metric except `epoch`, because trainings count in steps."""
        if not self._started:  # before this call, processes do not know their rank
            self._start(self.start)
            self._started = True
        with self.file.open("a", encoding="utf-8", newline="") as handle:
            measured = self.gauges.row()
            rows = [(step, name, value, *measured) for name, value in sorted(metrics.items()) if name != "epoch"]
            handle.write(csv_text(rows))
            handle.flush()
            os.fsync(handle.fileno())  # a checkpoint of this step must not outlive its rows


class ValidationFile(pl.Callback):
    """Writes DSS and volumes of each validation case after every validation; an undefined DSS is empty.

    Args:
        file: `case_id,structure,dss,volume_cm3,reference_cm3`.
        cases: cases of the validation side, in its order.
        voxels_mm3: voxel volume of each case on the CT's own grid.
    """

    def __init__(self, file: Path, cases: Sequence[CachedCase], voxels_mm3: Sequence[float]) -> None:
        self.file, self.cases, self.voxels_mm3 = file, cases, voxels_mm3

    @rank_zero_only
    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write the file, before the checkpoint of this step is saved."""
        assert isinstance(module, SegmentationModule)
        rows: list[Sequence[object]] = [VALIDATION_COLUMNS]
        for (index, organ), count in module.case_overlaps.items():
            voxel, dss = self.voxels_mm3[index], count.dss
            # in the order of `volume_cm3`, so that both are rounded equally
            volumes = [voxels * voxel / 1000.0 for voxels in (count.first_voxels, count.second_voxels)]
            rows.append([self.cases[index].case_id, organ.key, dss, *volumes])
        write_text(self.file, csv_text(rows))
