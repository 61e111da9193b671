"""segment CT with a trained model, each on its own grid.

Stopped, the same command goes on: a label map that this model made of this image is kept. No pretrained model is
shipped.

example
  liverspleen predict model=outputs/model/best.ckpt input=cohort.csv output=outputs/labels

inputs
  model=    checkpoint of liverspleen train
  input=    cohort.csv or a folder that holds one, a NIfTI file, or a folder of NIfTI files; there X_label.nii.gz beside
            X.nii.gz is a label map, and left
  split=    of a cohort, the split the model was trained with: only its validation patients are segmented. So the models
            of all folds fill one folder, each case by the model that has not seen it

outputs, in output=
  <case_id>.nii.gz   0 background, 1 liver, 2 spleen; grid, sform, qform, codes and units of the CT
  <case_id>.json     hashes of model and image
  run.json           what made them

exit codes
  0 done; 2 cases refused, each listed (the others are segmented); 1 failure
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from liverspleen import assemble
from liverspleen.cli.progress import progress
from liverspleen.cohort.folder import LABEL_SUFFIX
from liverspleen.cohort.manifest import Case
from liverspleen.cohort.split import read_split
from liverspleen.config import PredictConfig
from liverspleen.errors import Fault, Refused
from liverspleen.imaging.nifti import read_ct, strip_suffix, write_label_map
from liverspleen.provenance import recorded
from liverspleen.storage import complete_file, sha256_of, write_json

if TYPE_CHECKING:
    from liverspleen.inference.model import TrainedModel


def run(config: PredictConfig) -> Sequence[Fault]:
    """Segment every case that is not segmented yet."""
    with recorded("predict", config, config.output) as record:
        cases, faults = _cases(config)
        record.faults.extend(faults)
        device = assemble.device(config.accelerator)
        from liverspleen.inference.model import load_model

        model = load_model(config.model, device)
        record.faults.extend(model.faults)
        record.inputs |= {"model": model.sha256, "split": str(model.about["split"])}
        if config.split is not None and sha256_of(config.split) != model.about["split"]:
            what = "the model was not trained with this split, and may have learnt from cases that validate here"
            raise Refused(Fault("LS-PRD-004", what, "give the split of its training", file=config.split))
        record.device = str(device)
        kept = 0
        with progress("predict", len(cases)) as advance:
            for case in cases:
                try:
                    kept += _predict(case, model, config)
                except Refused as error:
                    record.faults.extend(error.faults)
                else:
                    record.outputs.append(config.output / f"{case.case_id}.nii.gz")
                advance(case.case_id)
        print(f"predict: {len(record.outputs)} label maps in {config.output}, {kept} of them were there already")
        return tuple(record.faults)


def _cases(config: PredictConfig) -> tuple[Sequence[Case], Sequence[Fault]]:
    """The cases of a cohort, a file or a folder."""
    source = config.input
    if source.suffix == ".csv" or (source / "cohort.csv").is_file():
        cohort = assemble.cohort(source, config)
        cases = cohort.select(config.datasets).cases
        if config.split is not None:
            unseen = set(read_split(config.split, cohort).validation)
            cases = tuple(case for case in cases if case.patient_id in unseen)
        return cases, cohort.faults
    if config.split is not None:
        what = "split= is given, but input= is no cohort.csv"
        raise Refused(Fault("LS-CFG-006", what, "give the cohort, or leave split= out", file=source))
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    names = {file: name for file in files if file.is_file() and (name := strip_suffix(file.name))}
    if not names or not all(file.exists() for file in names):
        what = "neither a cohort.csv nor a NIfTI file nor a folder that holds some"
        raise Refused(Fault("LS-PRD-001", what, "give input=cohort.csv, a .nii.gz file, or a folder", file=source))
    twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if twice:
        what = f"files of the same name but for their suffix: {', '.join(twice)}"
        raise Refused(Fault("LS-PRD-002", what, "keep one of each", file=source))
    beside = {name + LABEL_SUFFIX for name in names.values()} & set(names.values())
    what = f"{len(beside)} label maps beside their CT are left"
    notes = [Fault("LS-PRD-005", what, "rename them if they are CT", file=source, severity="note")] if beside else []
    return [
        Case(case_id=name, patient_id=name, image=file) for file, name in names.items() if name not in beside
    ], notes


def _predict(case: Case, model: TrainedModel, config: PredictConfig) -> bool:
    """Segment one case; True if its label map was there already."""
    from liverspleen.inference.segment import segment

    target, sidecar = config.output / f"{case.case_id}.nii.gz", config.output / f"{case.case_id}.json"
    image_hash = sha256_of(case.image) if case.image.is_file() else ""  # a missing file is named below
    made_by = {"case_id": case.case_id, "model_sha256": model.sha256, "image_sha256": image_hash}
    if target.exists():
        about = json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}
        if about.get("label_sha256") != sha256_of(target):
            what = "a label map of this name is there that liverspleen predict did not write, or that was edited since"
            raise Refused(Fault("LS-PRD-003", what, "move it away, or choose another output=", case.case_id, target))
        if about == {**made_by, "label_sha256": about["label_sha256"]}:
            return True
    label_map = segment(read_ct(case.image, case_id=case.case_id), model, batch_size=config.batch_size)
    with complete_file(target) as temporary:
        write_label_map(temporary, label_map)
        # before the label map has its name: what is found without a true sidecar was not written here
        write_json(sidecar, {**made_by, "label_sha256": sha256_of(temporary)})
    return False
