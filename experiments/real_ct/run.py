"""The way from scans to tables on real CT: learn one case by heart, segment and measure every case.

    python experiments/real_ct/run.py data=FOLDER output=outputs/real_ct [train_on=CASE_ID]

FOLDER holds a cohort.csv. The training case (by default the first with labels of both organs) is trained on and
measured: its DSS shows that the path works, and says nothing about accuracy.
"""

from __future__ import annotations

import sys
from pathlib import Path

from liverspleen.cli.main import run_verb
from liverspleen.cohort import Cohort, Split, read_cohort, write_split
from liverspleen.cohort.split import is_trainable
from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.table import read_measurements

EPILOGUE = (
    "These figures show the path, not accuracy: the network has learnt one case by heart, and the other cases "
    "differ from it in pixel size, contrast phase and section thickness."
)


def main(words: list[str]) -> int:
    """Run the verbs in turn; the highest exit code of them is returned."""
    given = dict(word.split("=", 1) for word in words)
    if "data" not in given or not (Path(given["data"]) / "cohort.csv").is_file():
        issue = Issue(
            "LS-EXP-001", "data= names no folder with a cohort.csv", "give DATA=FOLDER", file=given.get("data")
        )
        print(issue, file=sys.stderr)
        return 2
    manifest, out = Path(given["data"]) / "cohort.csv", Path(given.get("output", "outputs/real_ct"))
    try:
        cohort = read_cohort(manifest)
        case_id = given.get("train_on") or first_trainable(cohort)
        split = out / "split" / f"{case_id}.csv"
        patient = next((case.patient_id for case in cohort.cases if case.case_id == case_id), case_id)
        write_split(split, Split((patient,), (), 0, 1.0, cohort.hash))
        steps = {
            "check": [f"cohort={manifest}", f"output={out / 'check'}"],
            "train": [
                f"cohort={manifest}",
                f"split={split}",
                f"store={out / 'store'}",
                f"output={out / 'model' / case_id}",
                "experiment=overfit",
            ],
            "predict": [
                f"model={out / 'model' / case_id / 'last.ckpt'}",
                f"input={manifest}",
                f"output={out / 'labels'}",
            ],
            "measure": [f"labels={out / 'labels'}", f"cohort={manifest}", f"output={out / 'measure'}"],
            "report": [
                f"measurements={out / 'measure' / 'measurements.csv'}",
                f"cohort={manifest}",
                f"labels={out / 'labels'}",
                f"output={out / 'report'}",
            ],
        }
        codes = []
        for verb, overrides in steps.items():
            print(f"\nliverspleen {verb} {' '.join(overrides)}", flush=True)
            codes.append(run_verb(verb, overrides))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    summary(out, case_id)
    return max(codes)


def first_trainable(cohort: Cohort) -> str:
    """The first case that can be trained on."""
    for case in cohort.cases:
        if is_trainable(case):
            return case.case_id
    raise InputError(Issue("LS-EXP-002", "no case has labels of both organs", "add one", file=cohort.path))


def summary(out: Path, trained_on: str) -> None:
    """One line per measured organ, and what the figures mean."""
    table = read_measurements(out / "measure" / "measurements.csv").table
    print()
    for case_id, structure, dss in table.loc[table["dss"].notna(), ["case_id", "structure", "dss"]].itertuples(
        index=False
    ):
        mark = "learnt by heart" if case_id == trained_on else "never seen"
        print(f"{case_id:<14} {structure:<7} DSS {dss:.3f}  ({mark})")
    print(f"{EPILOGUE}\nopen {out / 'report' / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
