"""segment CT with a trained model, each on its own grid: label maps, volumes, and the cases to look at first.

Stopped, the same command goes on: what this model made of this CT with these settings is kept. A CT that cannot be used
costs one line. No pretrained model is shipped.

examples
  liverspleen predict model=bundle input=ct.nii.gz output=out
  liverspleen predict model=outputs/model/best.ckpt input=dicom_folder output=out
  liverspleen predict model=bundle input=cohort.csv output=out share=$SLURM_ARRAY_TASK_ID/8

inputs
  model=    bundle of liverspleen export, folder or .zip; or checkpoint of liverspleen train
  input=    NIfTI file, DICOM folder, .zip of either, folder of these, or cohort.csv; X_label.nii.gz and X_dseg.nii.gz
            beside X.nii.gz are label maps, and left. DICOM gets the same ids as from liverspleen import
  split=    of a cohort, the split the model was trained with: only its validation patients are segmented. So the models
            of all folds fill one folder, each case by the model that has not seen it
  share=    of cases that several tasks share, this task's part: 1/8 to 8/8, or 0/8 to 7/8, in any order or at once. The
            task that ends last writes the tables

outputs, in output=
  <case_id>_dseg.nii.gz   0 background, 1 liver, 2 spleen; grid, sform, qform, codes and units of the CT
  <case_id>_dseg.json     model, settings, hashes, volumes, statuses, review
  <case_id>_dseg.png      picture for a glance
  <case_id>_dseg.dcm      of DICOM, the same as DICOM-SEG
  measurements.csv        volumes with their status, reader dla: what liverspleen measure makes of the folder
  volumes.csv             the volumes once more, one row per case
  review.csv              the cases, those first that need a look
  dseg.tsv, slicer.ctbl, itksnap.txt, dataset_description.json   names and colours for BIDS, 3D Slicer, ITK-SNAP
  refused/<case_id>.json  why there is no label map
  run.json                what made them; run_2of8.json of a share

exit codes
  0 done; 2 cases refused, each listed (the others are segmented); 1 failure
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from liverspleen import assemble
from liverspleen.cli.progress import progress
from liverspleen.cli.redaction import redacted
from liverspleen.cohort.privacy import private
from liverspleen.cohort.scans import ScanCase, Scans, open_scans
from liverspleen.config import PredictConfig
from liverspleen.errors import InputError, Issue
from liverspleen.inference.case_files import CaseFiles, remove_left_behind
from liverspleen.inference.colour_tables import write_colour_tables
from liverspleen.inference.sharing import Share
from liverspleen.inference.tables import unfinished, write_tables
from liverspleen.provenance import Run, recorded
from liverspleen.storage import sha256_of

if TYPE_CHECKING:
    from liverspleen.cli.predicting import Prediction
    from liverspleen.inference.prediction import Outcome


def run(config: PredictConfig) -> Sequence[Issue]:
    """Segment every case of this share that is not segmented yet, and write the tables if it was the last."""
    if issues := contradictions(config):
        raise InputError(issues)
    share = Share.of(config.share)
    prediction = _prediction(config)
    with _opened(config) as scans:
        shown, command = redacted("predict", config, scans.identity) if scans.identity else (config, None)
        with (
            private(scans.identity, "predicting"),
            recorded("predict", shown, config.output, command=command, name=share.record) as record,
            private(scans.identity, "predicting"),
        ):
            _predict(config, prediction, scans, share, record)
    return tuple(record.issues)


def contradictions(config: PredictConfig) -> list[Issue]:
    """What cannot be meant."""
    found = [
        (config.ids not in {"hashed", "names"}, f"ids={config.ids}", "use hashed or names"),
        (config.postprocess not in {"model", "none"}, f"postprocess={config.postprocess}", "use model or none"),
        (config.precision not in {"auto", "fp32", "bf16"}, f"precision={config.precision}", "use auto, fp32 or bf16"),
        (config.batch_size is not None and config.batch_size < 1, f"batch_size={config.batch_size}", "use 1 or more"),
        (config.workers < 0, f"workers={config.workers}", "use 0 (one, or one per GPU) or more"),
    ]
    return [Issue("LS-CFG-006", message, hint) for wrong, message, hint in found if wrong]


def _prediction(config: PredictConfig) -> Prediction:
    """Model, settings and devices; refused before anything is looked for."""
    from liverspleen.cli.predicting import Prediction

    prediction = Prediction.of(config)
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


def _predict(config: PredictConfig, prediction: Prediction, scans: Scans, share: Share, record: Run) -> None:
    model, folder = prediction.model, config.output
    record.issues += [*model.issues, *scans.issues]
    record.inputs |= {"model": model.sha256, "split": str(model.about.get("split"))}
    record.device = ", ".join(dict.fromkeys(prediction.places))
    record.outputs += write_colour_tables(folder)
    remove_left_behind(folder)
    mine = [scan for scan in scans.cases if share.takes(scan.case.case_id)]
    outcomes = _carried_out(prediction, mine, record)
    done = [outcome for outcome in outcomes if not outcome.refused]
    record.outputs += [CaseFiles(folder, outcome.case_id).label_map for outcome in done]
    kept = sum(outcome.kept for outcome in done)
    print(f"predict: {len(done)} label maps in {_told(folder, scans)}, {kept} of them were there already")
    _finish(prediction, scans, share, record)


def _carried_out(prediction: Prediction, scans: Sequence[ScanCase], record: Run) -> list[Outcome]:
    """What became of each case; a process that dies ends the run, and what is done by then stays."""
    outcomes = []
    with progress("predict", len(scans)) as advance:
        try:
            for outcome in prediction.outcomes(scans):
                outcomes.append(outcome)
                record.issues += outcome.issues
                advance(outcome.case_id)
        except BrokenProcessPool:
            message = f"a worker process died, {len(scans) - len(outcomes)} cases are not done"
            hint = "run the same command to go on, with fewer workers= if memory was short"
            record.issues.append(Issue("LS-PRD-031", message, hint))
    return outcomes


def _finish(prediction: Prediction, scans: Scans, share: Share, record: Run) -> None:
    """Write the tables if all cases of the input are done or refused, whichever task did them."""
    folder = prediction.folder
    missing = unfinished(folder, [scan.case.case_id for scan in scans.cases], prediction.settings)
    if not missing:
        record.outputs += (written := write_tables(folder))
        print(f"predict: {', '.join(file.name for file in written)} in {_told(folder, scans)}")
    elif share.count > 1:
        message = f"{len(missing)} of {len(scans.cases)} cases are not done yet"
        hint = "the tables are written by the task that ends last; start one that was stopped again"
        record.issues.append(Issue("LS-PRD-032", message, hint, severity="note"))


def _told(folder: Path, scans: Scans) -> str:
    """The output folder on the terminal; where names must stay inside it is not told."""
    return "output=" if scans.identity else str(folder)
