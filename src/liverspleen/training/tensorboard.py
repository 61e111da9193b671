"""Event files of TensorBoard, written with tensorboardX in the calling thread, so that errors are raised there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray


class TensorBoardFile:
    """Writes metrics and images to a new event file in a folder, which is one run of TensorBoard.

    Args:
        folder: folder of the run; earlier event files there are continued.
        start: step from which TensorBoard ignores the values of earlier files, which an interrupted training wrote.
    """

    def __init__(self, folder: Path, *, start: int) -> None:
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files in the order of their names; a usual name also has the name of the machine
        self._file = RecordWriter(str(folder / f"events.out.tfevents.{time.time():.6f}.{uuid4().hex[:8]}"))
        self._write(file_version="brain.Event:2")
        self._write(step=start, session_log={"status": 1})  # START

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write one row per metric except `epoch`, because trainings count in steps."""
        values = [{"tag": name, "simple_value": value} for name, value in sorted(metrics.items()) if name != "epoch"]
        self._write(step=step or 0, summary={"value": values})

    def log_image(self, key: str, images: Sequence[NDArray[np.uint8]], *, step: int) -> None:
        """Write RGB images (row, column, 3)."""
        from tensorboardX import summary

        for image in images:
            self._write(step=step, summary=summary.image(key, image, dataformats="HWC"))

    def finalize(self, _: str) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, **event: Any) -> None:
        from tensorboardX.proto import event_pb2

        try:
            self._file.write(event_pb2.Event(wall_time=time.time(), **event).SerializeToString())
            self._file.flush()
        except OSError:
            with suppress(OSError):
                self._file.close()  # else Python prints that its buffer cannot be written
            raise
