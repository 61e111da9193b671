"""Results of a model on CT scans that were not used for its training, from measurements of its label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen.cohort.composition import PHANTOM, measured_origin
from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.data.trained_on import known_cases
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.statistics.bootstrap import bootstrap_ci
from liverspleen.evaluation.statistics.intervals import prediction_interval_of_mean
from liverspleen.evaluation.statistics.samples import describe, reasons
from liverspleen.imaging.files import read_ct
from liverspleen.inference.lineage import lineage
from liverspleen.inference.tested import NEW_PATIENTS
from liverspleen.inference.untrusted.model_file import CheckedModel
from liverspleen.organs import listed, organ
from liverspleen.storage import sha256_of_array

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class UnseenCases:
    """Measurements of a model's label maps (a file, or the folder of `measurements.csv`), and the cohort of the CT.

    `on` is the name of the cases as a set; `design` is true if design choices were checked on them.
    """

    measurements: Path
    cohort: Cohort
    on: str
    design: bool


def unseen_results(
    found: CheckedModel, unseen: UnseenCases, *, on_case: Callable[[str], None]
) -> tuple[dict[str, Any], tuple[Issue, ...]]:
    """Return the results as plain values for model.json, and the issues of the table and of the cohort.

    Only rows with a reference count. The interval of a mean DSS is that of the report: Student's t of the logit,
    clustered by patient. The prediction interval is for the mean of six new patients. It is undefined if a patient has
    several CT scans.

    Args:
        found: the model.
        unseen: the cases.
        on_case: called with the id of each case whose CT was compared with those of the training.

    Raises:
        InputError: LS-XPT-018 a case was a training case of the model or of a model before it; LS-XPT-019 the training
            cases are not recorded; LS-XPT-020 the measurements are not those of one model on these cases; or a table
            or a CT cannot be read.
    """
    file = unseen.measurements / "measurements.csv" if unseen.measurements.is_dir() else unseen.measurements
    measurements = read_measurements(file)
    rows = measurements.table[measurements.table["reference"] != ""]
    taught = found.description["taught_organs"]
    if problems := [*_problems(rows, unseen.cohort.cases, taught)]:
        raise InputError(Issue("LS-XPT-020", message, hint, file=file) for message, hint in problems)
    ids = set(rows["case_id"])
    _reject_training_cases(found, [case for case in unseen.cohort.cases if case.case_id in ids], on_case)
    results = {
        "on": unseen.on,
        "design": unseen.design,
        "measurements_sha256": measurements.sha256,
        "cases": len(ids),
        "patients": rows["patient_id"].nunique(),
        "new_patients": NEW_PATIENTS,
        "organs": {key: _of_organ(rows[rows["structure"] == key]) for key in taught},
    }
    return results, (*unseen.cohort.issues, *measurements.issues)


def _problems(rows: pandas.DataFrame, cases: Sequence[Case], taught: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield message and hint of each reason why the rows are not those of one model on test cases."""
    pairs = sorted(set(zip(rows["reader"], rows["reference"], strict=True)))
    if not pairs:
        yield "no row has a reference", "measure the label maps of the model with reference= or cohort="
        return
    if len(pairs) > 1:
        texts = ", ".join(f"{reader!r} against {reference!r}" for reader, reference in pairs[:3])
        yield f"it compares several readers: {texts}", "measure only the label maps of this model"
    if others := sorted(set(rows["structure"]) - set(taught)):
        message = f"it has rows of the {listed(keys=others)}, which the model was not taught"
        yield message, "measure the label maps of this model"
    known, measured = {case.case_id: case for case in cases}, set(rows["case_id"])
    if strangers := sorted(measured - known.keys()):
        message = f"{counted(len(strangers), 'case')} not in tested_cohort=, first {strangers[0]!r}"
        yield message, "give the cohort with the CT scans of these cases"
    synthetic = {case.case_id for case in cases if measured_origin(case) == PHANTOM}
    synthetic = (synthetic & measured) | set(rows["case_id"][rows["origin"] == PHANTOM])
    if synthetic:
        message = f"{counted(len(synthetic), 'case')} of phantoms, first {min(synthetic)!r}"
        yield message, "measure CT scans of patients only"
    datasets = {known[case_id].dataset for case_id in measured & known.keys()}
    keys = set(zip(rows["case_id"], rows["structure"], strict=True))
    for key in taught:
        labelled = [case for case in cases if case.label is not None and organ(key) in case.labelled_structures]
        absent = [one.case_id for one in labelled if one.dataset in datasets and (one.case_id, key) not in keys]
        if absent:
            message = f"{counted(len(absent), 'case')} of tested_cohort= without a {key} row, first {absent[0]!r}"
            yield message, "measure all labelled cases, with allow_missing=true if a label map is missing"


def _reject_training_cases(found: CheckedModel, cases: Sequence[Case], on_case: Callable[[str], None]) -> None:
    """Reject cases whose CT has the voxels of a training case of the model, or of a model before it.

    Raises:
        InputError: LS-XPT-018 for each such case; LS-XPT-019 the training cases are not recorded.
    """
    models = lineage(found)
    if any(model["trained_on"] is None for model in models):
        message = "the model does not record all of its training cases, so the test cases may be among them"
        hint = "train the model again with this version, or remove tested="
        raise InputError(Issue("LS-XPT-019", message, hint, file=found.path))
    voxels = {}
    for case in cases:
        voxels[case.case_id] = sha256_of_array(read_ct(case.image, case_id=case.case_id).hu)
        on_case(case.case_id)
    issues = []
    for case_id, sha256 in known_cases(voxels, models):
        of = "this model" if sha256 == found.sha256 else f"model {sha256[:12]}, from which this model was started"
        hint = "remove its rows from tested=, and the case from tested_cohort="
        issues.append(Issue("LS-XPT-018", f"the test case was a training case of {of}", hint, case_id=case_id))
    if issues:
        raise InputError(issues)


def _of_organ(rows: pandas.DataFrame) -> dict[str, Any]:
    """Return the results of an organ; None is undefined, with the reason.

    A prediction is empty if it has no voxel of an organ that the reference has, and missing if there is no label map:
    both have a DSS of 0. The DSS is undefined if prediction and reference are both empty.
    """
    defined = rows[rows["dss"].notna()]
    dss, patients = defined["dss"], [*defined["patient_id"]]
    mean = bootstrap_ci(dss.to_numpy(), clusters=patients, fraction=True)
    spread = describe(dss.to_numpy())
    several = len(set(patients)) < len(patients)
    new = None
    if mean.estimate_t_ci is not None and not several:
        assert spread.mean is not None
        assert spread.sd is not None
        new = prediction_interval_of_mean(spread.mean, spread.sd, spread.n, new=NEW_PATIENTS, fraction=True)
    lowest = defined.sort_values(["dss", "case_id"]).iloc[:1]
    failed = defined[defined["dss"] == 0]
    return {
        "n": len(defined),
        "dss_mean": mean.estimate,
        "dss_mean_ci": _bounds(mean.estimate_t_ci),
        "dss_prediction_interval": _bounds(new),
        "dss_lowest": None if lowest.empty else float(lowest["dss"].iloc[0]),
        "lowest_case": None if lowest.empty else str(lowest["case_id"].iloc[0]),
        "empty": int((failed["volume_cm3"] == 0).sum()),
        "missing": int(failed["volume_cm3"].isna().sum()),
        "undefined": len(rows) - len(defined),
        "reason": reasons(_undefined(mean.n_clusters, mean.estimate_t_ci is None, several)),
    }


def _undefined(patients: int, without_interval: bool, several: bool) -> Mapping[str, bool]:
    return {
        "no defined DSS": patients == 0,
        "only 1 patient: the intervals are undefined": patients == 1,
        "all DSS are equal: the intervals are undefined": patients > 1 and without_interval,
        "patients with several CT scans: the prediction interval is undefined": several,
    }


def _bounds(interval: Sequence[float] | None) -> list[float] | None:
    return None if interval is None else [*interval]
