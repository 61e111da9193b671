"""run the full pipeline on phantoms: phantom, check, split, prepare, train, predict, measure, report.

Each step prints the command that it runs. Finished steps are reused, and the same command resumes an interrupted demo.
The results are those of phantoms; they say nothing about the accuracy on patients.

examples
  liverspleen demo output=outputs/demo

outputs, in output=
  measurements.csv, report.html, report.json, tables/, figures/   results of the test phantoms
  phantoms/, check/, split/, cache/, model/, labels/, measure/    output of each step
  run.json                                                        command, configuration, versions and hashes

exit codes
  0: finished; 2: a case was rejected, each listed; 1: failure
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Sequence
from statistics import fmean

from liverspleen.cohort.manifest import read_cohort
from liverspleen.config import DemoConfig, compose
from liverspleen.errors import Issue, counted
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.organs import ORGAN_KEYS
from liverspleen.provenance import recorded
from liverspleen.storage import complete_file, sha256_of


def run(config: DemoConfig) -> Sequence[Issue]:
    """Run the verbs one after the other, and print a summary."""
    out = config.output
    cohort = f"cohort={out / 'phantoms' / 'cohort.csv'}"
    tests = "datasets=[test1,test2]"
    measured = out / "measure" / "measurements.csv"
    training = [f"experiment={config.experiment}", f"trainer.steps={config.steps}", f"seed={config.seed}"]
    counts = [f"{name}={getattr(config, name)}" for name in ("development", "test1", "pairs", "matrix", "seed")]
    steps: dict[str, list[str]] = {
        "phantom": [f"output={out / 'phantoms'}", *counts],
        "check": [cohort, f"output={out / 'check'}"],
        "split": [cohort, f"output={out / 'split'}", f"seed={config.seed}"],
        "prepare": [cohort, f"cache={out / 'cache'}"],
        "train": [
            cohort,
            f"split={out / 'split' / 'split.csv'}",
            f"cache={out / 'cache'}",
            f"output={out / 'model'}",
            *training,
        ],
        "predict": [
            f"model={out / 'model' / 'best.ckpt'}",
            f"input={out / 'phantoms' / 'cohort.csv'}",
            tests,
            f"output={out / 'labels'}",
        ],
        "measure": [f"labels={out / 'labels'}", cohort, tests, f"output={out / 'measure'}"],
        "report": [
            f"measurements={measured}",
            cohort,
            f"split={out / 'split' / 'split.csv'}",
            f"labels={out / 'labels'}",
            f"output={out}",
        ],
    }
    issues: list[Issue] = []
    with recorded("demo", config, out) as record:
        for verb, overrides in steps.items():
            print(f"\nliverspleen {verb} {' '.join(overrides)}", flush=True)
            issues.extend(importlib.import_module(f"liverspleen.cli.{verb}").run(compose(verb, overrides)))
        with complete_file(out / "measurements.csv") as temporary:
            shutil.copyfile(measured, temporary)
        record.inputs["cohort"] = read_cohort(out / "phantoms" / "cohort.csv").hash
        record.inputs["split"] = sha256_of(out / "split" / "split.csv")
        record.seeds["demo"] = config.seed
        record.outputs += [out / "measurements.csv", out / "report.json", out / "report.html"]
        record.issues.extend(issues)
    _summary(config)
    return tuple(issues)


def _summary(config: DemoConfig) -> None:
    table = read_measurements(config.output / "measurements.csv").table
    print()
    for organ in ORGAN_KEYS:
        dss = table.loc[(table["structure"] == organ) & (table["reference"] != ""), "dss"].dropna().tolist()
        mean = f"{fmean(dss):.3f} (lowest {min(dss):.3f})" if dss else "undefined"
        print(f"{organ:<7} mean DSS {mean} over {counted(len(dss), 'test phantom')}")
    print(f"open {config.output / 'report.html'}; the results are those of phantoms, not of patients")
