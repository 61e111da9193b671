"""Predict as a configuration says: model, scans, label maps, tables, and a record of it all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liverspleen import assemble
from liverspleen.api.redaction import redacted
from liverspleen.cohort.privacy import redacted_errors
from liverspleen.cohort.scans import Scans, open_scans
from liverspleen.config import PredictConfig
from liverspleen.errors import InputError, Issue
from liverspleen.inference.case_files import CaseFiles, remove_left_behind
from liverspleen.inference.colour_tables import write_colour_tables
from liverspleen.inference.run import Prediction, predict_scans
from liverspleen.inference.sharding import Shard
from liverspleen.inference.tables import unfinished, write_tables
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of

if TYPE_CHECKING:
    from liverspleen.inference.prediction import Outcome


@dataclass(frozen=True)
class Predicted:
    """Finished predictions.

    `label_maps` has the file of each predicted case by case_id, `kept` counts those of earlier runs, `tables` are the
    tables that were written (none while other tasks still predict). `shown` is the output folder as it may be printed.
    """

    output: Path
    label_maps: dict[str, Path]
    kept: int
    tables: tuple[Path, ...]
    shown: str
    issues: tuple[Issue, ...]


def run_prediction(config: PredictConfig) -> Predicted:
    """Segment every case of this share that is not segmented yet, and write the tables if it was the last.

    Raises:
        InputError: the configuration, the model or the input cannot be used. Cases that cannot be used are in `issues`.
    """
    shard = Shard.of(config.shard)
    prediction = _prediction(config)
    with _opened(config) as scans:
        shown, command = redacted("predict", config, scans.identity) if scans.identity else (config, None)
        with (
            redacted_errors(scans.identity, "predicting"),
            recorded("predict", shown, config.output, command=command, name=shard.record) as record,
            redacted_errors(scans.identity, "predicting"),
        ):
            outcomes, tables = _predict(prediction, scans, shard, record)
    done = [outcome for outcome in outcomes if not outcome.rejected]
    return Predicted(
        config.output,
        {outcome.case_id: CaseFiles(config.output, outcome.case_id).label_map for outcome in done},
        sum(outcome.kept for outcome in done),
        tuple(tables),
        "output=" if scans.identity else str(config.output),
        tuple(record.issues),
    )


def _prediction(config: PredictConfig) -> Prediction:
    """Model, settings and devices; rejected before any scan is looked for."""
    prediction = Prediction.of(
        config.model,
        config.output,
        lambda: assemble.device(config.accelerator),
        engine=config.engine,
        precision=config.precision,
        flips=config.flips,
        postprocessing=config.postprocess == "model",
        batch_size=config.batch_size,
        workers=config.workers,
    )
    if config.split is not None and sha256_of(config.split) != prediction.model.about.get("split"):
        message = "the model was not trained with this split, and may have learnt from cases that validate here"
        raise InputError(Issue("LS-PRD-004", message, "give the split of its training", file=config.split))
    return prediction


@contextmanager
def _opened(config: PredictConfig) -> Iterator[Scans]:
    with open_scans(
        config.input,
        root=config.root,
        vocabulary=assemble.vocabulary(config.vocabulary),
        datasets=config.datasets,
        split=config.split,
        ids=config.ids,
        key=config.key,
    ) as scans:
        yield scans


def _predict(prediction: Prediction, scans: Scans, shard: Shard, record: Run) -> tuple[list[Outcome], list[Path]]:
    """What became of this share's cases, and the tables that were written."""
    model, folder = prediction.model, prediction.folder
    record.issues += [*model.issues, *scans.issues]
    record.inputs |= {"model": model.sha256, "split": str(model.about.get("split"))}
    record.device = ", ".join(dict.fromkeys(prediction.places))
    record.outputs += write_colour_tables(folder)
    remove_left_behind(folder)
    mine = [scan for scan in scans.cases if shard.takes(scan.case.case_id)]
    outcomes = predict_scans(prediction, mine, record.issues)
    record.outputs += [CaseFiles(folder, outcome.case_id).label_map for outcome in outcomes if not outcome.rejected]
    return outcomes, _tables(prediction, scans, shard, record)


def _tables(prediction: Prediction, scans: Scans, shard: Shard, record: Run) -> list[Path]:
    """Write the tables if all cases of the input are done or rejected, whichever task did them."""
    missing = unfinished(prediction.folder, [scan.case.case_id for scan in scans.cases], prediction.settings)
    if not missing:
        record.outputs += (written := write_tables(prediction.folder))
        return written
    if shard.count > 1:
        message = f"{len(missing)} of {len(scans.cases)} cases are not done yet"
        hint = "the tables are written by the task that ends last; start one that was stopped again"
        record.issues.append(Issue("LS-PRD-032", message, hint, severity="note"))
    return []
