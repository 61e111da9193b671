"""`curves.png`: loss, learning rate and validation DSS of a training by step, drawn from `metrics.csv`."""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytorch_lightning as pl

from liverspleen.errors import Issue
from liverspleen.organs import ORGANS
from liverspleen.reading import read_text
from liverspleen.storage import complete_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = dict[str, tuple[list[int], list[float]]]
"""Finished steps and values, by the name of a metric."""

NAME: Final = "curves.png"
_MOST: Final = 0.05
"""Largest fraction of the time that drawing may take."""

# Okabe and Ito 2008, for any colour vision; the markers are distinguishable in grey
_MARKS: Final = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))
_GREY: Final = "#999999"
_SMOOTHED: Final = 0.05  # of the rows


class Curves(pl.Callback):
    """Draws the picture after each validation, and at the end; only the first rank does.

    A validation gets no new picture if drawing would take more than 5 % of the time. An error gives one warning.

    Args:
        metrics: `metrics.csv`; the picture is written beside it.
        issues: list to which the warning is added.
    """

    def __init__(self, metrics: Path, issues: list[Issue]) -> None:
        self.metrics, self.issues = metrics, issues
        self._cost_s, self._drawn = 0.0, -float("inf")
        self._step = -1  # of the last picture

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Draw, unless the last picture is too recent."""
        if time.monotonic() - self._drawn >= self._cost_s / _MOST:
            self._draw(trainer)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Draw the last state."""
        if self._step != trainer.global_step:
            self._draw(trainer)

    def _draw(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero or any(issue.code == "LS-TRN-030" for issue in self.issues):
            return
        start, self._step = time.monotonic(), trainer.global_step
        try:
            draw(self.metrics, self.metrics.with_name(NAME))
        except Exception as error:  # noqa: BLE001 - the training continues after any error
            message = f"the curves cannot be drawn ({type(error).__name__}: {error})"
            hint = "read metrics.csv, which is complete"
            file = self.metrics.with_name(NAME)
            self.issues.append(Issue("LS-TRN-030", message, hint, file=file, severity="warning"))
        self._drawn = time.monotonic()
        self._cost_s = self._drawn - start


def draw(metrics: Path, picture: Path) -> None:
    """Draw the rows of `metrics.csv` as a PNG file."""
    from matplotlib.figure import Figure  # not at the start of a training

    from liverspleen.evaluation.reporting.figures.bland_altman import own_style

    points = _points(metrics)
    with own_style():
        figure = Figure(figsize=(7.5, 7.5))
        figure.subplots_adjust(left=0.12, right=0.97, top=0.97, bottom=0.07, hspace=0.1)
        loss, rate, dss = figure.subplots(3, sharex=True)
        _plot_loss(loss, points)
        rate.plot(*points["learning_rate"], color=_MARKS[0][0])
        rate.set_ylabel("Learning rate")
        _plot_dss(dss, points)
        dss.set_xlabel("Step")
        for axes in (loss, rate, dss):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="#E6E6E6", linewidth=0.7)
            axes.yaxis.set_label_coords(-0.09, 0.5)
        with complete_file(picture) as temporary:
            figure.savefig(temporary, format="png", dpi=120)


def _points(metrics: Path) -> Points:
    """Return the points of each metric and of the learning rate."""
    found: Points = defaultdict(lambda: ([], []))
    for row in csv.DictReader(read_text(metrics).splitlines()):
        for name, value in ((row["metric"], row["value"]), ("learning_rate", row["learning_rate"])):
            if value:
                found[name][0].append(int(row["step"]) + 1)
                found[name][1].append(float(value))
    return found


def _plot_loss(axes: Axes, points: Points) -> None:
    steps, losses = points["train/loss"]
    colour = _MARKS[0][0]
    axes.plot(steps, losses, color=_GREY, lw=0.8, marker="." if len(steps) < 3 else "", label="one step")
    width = max(3, round(len(losses) * _SMOOTHED)) | 1  # odd
    if len(losses) > width:
        axes.plot(steps, smoothed(losses, width), color=colour, lw=1.8, label=f"mean of {width} values")
        axes.legend(frameon=False)
    axes.set_ylabel("Training loss")


def smoothed(values: list[float], width: int) -> np.ndarray:
    """Return the mean of the `width` values around each value (odd), of fewer at the ends.

    >>> smoothed([1.0, 2.0, 6.0, 4.0], 3).tolist()
    [1.5, 3.0, 4.0, 5.0]
    """
    ones = np.ones(width)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def _plot_dss(axes: Axes, points: Points) -> None:
    # not strict: there are more marks than organs
    for organ, (colour, marker) in zip(ORGANS, _MARKS * len(ORGANS), strict=False):
        steps, scores = points[f"val/dss_{organ.key}"]
        if scores:
            axes.plot(steps, scores, color=colour, marker=marker, ms=4, lw=1.4, label=organ.title, clip_on=False)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Validation DSS")
    if axes.lines:
        axes.legend(frameon=False, loc="best")
