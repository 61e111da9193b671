"""Check a cohort, with a configuration."""

from __future__ import annotations

from liverspleen import assemble
from liverspleen.cohort.findings.cohort_check import Checked, check_cohort, write_findings
from liverspleen.config import CheckConfig
from liverspleen.provenance import recorded
from liverspleen.storage import write_json


def run_check(config: CheckConfig) -> Checked:
    """Check every case of the cohort, and write the tables if a folder is given.

    Raises:
        InputError: the cohort cannot be read.
    """
    if config.output is None:
        return check_cohort(assemble.cohort(config.cohort, config))
    with recorded("check", config, config.output) as record:
        cohort = assemble.cohort(config.cohort, config)
        record.inputs["cohort"] = cohort.hash
        checked = check_cohort(cohort)
        record.issues.extend(checked.shown)
        write_findings(config.output / "findings.csv", checked.findings)
        write_json(config.output / "findings.json", checked.as_json())
        record.outputs += [config.output / "findings.csv", config.output / "findings.json"]
        return checked
