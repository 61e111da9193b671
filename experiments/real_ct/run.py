"""Run the full pipeline on real CT scans: overfit one case, then segment and measure every case.

    python experiments/real_ct/run.py data=FOLDER output=outputs/real_ct [train_on=CASE_ID]

FOLDER has a cohort.csv. The network is trained on one case (by default the first with labels of both organs), which is
measured too. Its DSS shows that the pipeline works; it is not an estimate of accuracy.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from liverspleen import api
from liverspleen.cohort import Cohort, Split, read_cohort, write_split
from liverspleen.cohort.split import is_trainable
from liverspleen.errors import InputError, InputWarning, Issue, collapsed
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.studies import given_settings

KEYS = ("data", "output", "train_on")

EPILOGUE = (
    "These figures test the pipeline, not accuracy: the network is overfitted to one case, and the other cases differ "
    "from it in pixel size, contrast phase and slice thickness."
)


def main(arguments: list[str]) -> int:
    """Run the study; return 0 if it succeeds, 2 if an input was rejected."""
    if {"--help", "-h"} & set(arguments):
        print(__doc__)
        return 0
    try:
        given = given_settings(arguments, KEYS)
        manifest, out = Path(given.get("data", "")) / "cohort.csv", Path(given.get("output", "outputs/real_ct"))
        if not given.get("data") or not manifest.is_file():
            message, hint = "data= is not a folder with a cohort.csv", "give data=FOLDER (with make real: DATA=FOLDER)"
            raise InputError(Issue("LS-EXP-001", message, hint, file=given.get("data")))
        cohort = read_cohort(manifest)
        case_id = given.get("train_on") or first_trainable(cohort)
        split = out / "split" / f"{case_id}.csv"
        patient = next((case.patient_id for case in cohort.cases if case.case_id == case_id), case_id)
        write_split(split, Split((patient,), (), 0, 1.0, cohort.hash))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # printed at the end
            issues = run(manifest, split, out, case_id)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(*collapsed(issues), sep="\n", file=sys.stderr)
    summary(out, case_id)
    return 2 if any(issue.severity == "error" for issue in issues) else 0


def run(manifest: Path, split: Path, out: Path, case_id: str) -> list[Issue]:
    """Check, train, predict, measure and report; return the issues. The same call resumes an interrupted run."""
    print("check", flush=True)
    issues = [*api.check(cohort=manifest, output=out / "check").shown]
    print("train", flush=True)
    folder = out / "model" / case_id
    trained = api.train(cohort=manifest, split=split, cache=out / "cache", output=folder, experiment="overfit")
    print("predict", flush=True)
    predicted = api.predict(model=trained.checkpoint, input=manifest, output=out / "labels")
    print("measure, report", flush=True)
    measured = api.measure(labels=predicted.output, cohort=manifest, output=out / "measure")
    reported = api.report(measurements=measured.file, cohort=manifest, labels=predicted.output, output=out / "report")
    for result in (trained, predicted, measured, reported):
        issues += result.issues
    return issues


def first_trainable(cohort: Cohort) -> str:
    """Return the id of the first case that can be trained on."""
    for case in cohort.cases:
        if is_trainable(case):
            return case.case_id
    raise InputError(Issue("LS-EXP-002", "no case has labels of both organs", "add such a case", file=cohort.path))


def summary(out: Path, trained_on: str) -> None:
    """Print one line per measured organ, and what the figures mean."""
    table = read_measurements(out / "measure" / "measurements.csv").table
    print()
    for case_id, structure, dss in table.loc[table["dss"].notna(), ["case_id", "structure", "dss"]].itertuples(
        index=False
    ):
        mark = "overfitted" if case_id == trained_on else "never seen"
        print(f"{case_id:<14} {structure:<7} DSS {dss:.3f}  ({mark})")
    print(f"{EPILOGUE}\nopen {out / 'report' / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
