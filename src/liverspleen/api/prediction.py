"""Segment scans, with a configuration: model, scans, label maps, tables, run.json."""

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
from liverspleen.errors import InputError, Issue, counted
from liverspleen.inference.case_files import CaseFiles, remove_unfinished
from liverspleen.inference.colour_tables import write_colour_tables
from liverspleen.inference.gallery import GALLERY
from liverspleen.inference.run import Prediction, predict_scans
from liverspleen.inference.sharding import Shard
from liverspleen.inference.tables import unfinished, write_tables
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of

if TYPE_CHECKING:
    from liverspleen.inference.ensemble import Model
    from liverspleen.inference.prediction import Outcome


@dataclass(frozen=True)
class Predicted:
    """Finished predictions.

    Attributes:
        output: the output folder.
        label_maps: label map of each predicted case, by case_id.
        kept: number of label maps of earlier runs.
        tables: tables and gallery that were written; empty while other tasks still predict.
        shown: text for the output folder that contains no patient name.
        issues: issues of model, input and cases.
    """

    output: Path
    label_maps: dict[str, Path]
    kept: int
    tables: tuple[Path, ...]
    shown: str
    issues: tuple[Issue, ...]


def run_prediction(config: PredictConfig) -> Predicted:
    """Segment the remaining cases of this shard, and write the tables if it is the last shard to finish.

    Raises:
        InputError: the configuration, the model or the input cannot be used. Cases that cannot be used are in `issues`.
    """
    shard = Shard.of(config.shard)
    prediction = _prediction(config)
    with _opened(config) as scans:
        shown, command = redacted("predict", config, scans.identity) if scans.identity else (config, None)
        with (
            redacted_errors(scans.identity, "predicting"),
            recorded(
                "predict", shown, config.output, command=command, name=shard.record, shared=shard.count > 1
            ) as record,
            redacted_errors(scans.identity, "predicting"),
        ):
            outcomes, tables = _predict(prediction, scans, shard, record)
    finished = [outcome for outcome in outcomes if not outcome.rejected]
    return Predicted(
        config.output,
        {outcome.case_id: CaseFiles(config.output, outcome.case_id).label_map for outcome in finished},
        sum(outcome.kept for outcome in finished),
        tuple(tables),
        "output=" if scans.identity else str(config.output),
        tuple(record.issues),
    )


def _prediction(config: PredictConfig) -> Prediction:
    """Return model, settings and devices; they are checked before the input is opened."""
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
        probabilities=config.probabilities,
    )
    splits = {member.description.get("split") for member in prediction.model.members}
    if config.split is not None and splits != {sha256_of(config.split)}:
        trained = "the model was" if len(prediction.model.members) == 1 else "members of the ensemble were"
        message = f"{trained} trained with another split, and maybe on validation cases of this one"
        raise InputError(Issue("LS-PRD-004", message, "give the split of the training", file=config.split))
    return prediction


@contextmanager
def _opened(config: PredictConfig) -> Iterator[Scans]:
    with open_scans(
        config.input,
        root=config.root,
        vocabulary=assemble.vocabulary(config.vocabulary),
        datasets=config.datasets,
        split=config.split,
        series_by=config.series_by,
        ids=config.ids,
        key=config.key,
    ) as scans:
        yield scans


def _predict(prediction: Prediction, scans: Scans, shard: Shard, record: Run) -> tuple[list[Outcome], list[Path]]:
    """Return the outcomes of the cases of this shard, and the tables that were written."""
    model, folder = prediction.model, prediction.folder
    record.issues += [*model.issues, *scans.issues]
    record.inputs |= _hashes(model)
    record.device = ", ".join(dict.fromkeys(prediction.devices))
    record.outputs += write_colour_tables(folder, model.taught)
    remove_unfinished(folder)
    own = [scan for scan in scans.cases if shard.includes(scan.case.case_id)]
    outcomes = predict_scans(prediction, own, record.issues)
    record.outputs += [CaseFiles(folder, outcome.case_id).label_map for outcome in outcomes if not outcome.rejected]
    return outcomes, _tables(prediction, scans, shard, record)


def _hashes(model: Model) -> dict[str, str]:
    """Return the hashes of the model and of its split; of an ensemble, of each member."""
    if len(model.members) == 1:
        return {"model": model.sha256, "split": str(model.members[0].description.get("split"))}
    found = {"model": model.sha256}
    for number, member in enumerate(model.members, start=1):
        found[f"member {number}"] = member.sha256
        found[f"split of member {number}"] = str(member.description.get("split"))
    return found


def _tables(prediction: Prediction, scans: Scans, shard: Shard, record: Run) -> list[Path]:
    """Write the tables if all cases of the input are finished or rejected, in any task."""
    missing = unfinished(prediction.folder, [scan.case.case_id for scan in scans.cases], prediction.settings)
    if not missing:
        record.outputs += (written := write_tables(prediction.folder))
        if prediction.folder / GALLERY not in written:
            message = "the output has a file of this name that predict did not write, so there is no gallery"
            hint = "move the file to another folder, and run the same command again"
            record.issues.append(Issue("LS-PRD-042", message, hint, file=GALLERY, severity="warning"))
        return written
    if shard.count > 1:
        message = f"{len(missing)} of {counted(len(scans.cases), 'case')} not finished, so there are no tables yet"
        hint = "wait for the other tasks, and start interrupted ones again; the last one writes the tables"
        record.issues.append(Issue("LS-PRD-032", message, hint, severity="note"))
    return []
