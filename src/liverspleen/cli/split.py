"""draw training and validation patients, 8:2, once, as a file.

Only development cases with both organs labelled take part; all examinations of a patient are on one side. The file
keeps the cohort's hash, so that a training on a changed cohort is refused.

example
  liverspleen split cohort=cohort.csv output=split seed=1

inputs
  cohort=     cohort.csv

outputs, in output=
  split.csv   patient_id, side (training or validation), seed, share and the cohort's hash
  run.json    what made it

exit codes
  0 done; 2 rows of the cohort refused, each listed (the others are split), or the cohort refused; 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen import assemble
from liverspleen.cohort.manifest import read_cohort
from liverspleen.cohort.split import split_by_patient, write_split
from liverspleen.config import SplitConfig
from liverspleen.errors import Fault
from liverspleen.provenance import recorded


def run(config: SplitConfig) -> Sequence[Fault]:
    """Draw and write the split."""
    with recorded("split", config, config.output) as record:
        cohort = read_cohort(config.cohort, root=config.root, vocabulary=assemble.vocabulary(config.vocabulary))
        record.inputs["cohort"] = cohort.hash
        record.seeds["split"] = config.seed
        record.faults.extend(cohort.faults)
        split = split_by_patient(cohort, train_fraction=config.train_fraction, seed=config.seed)
        write_split(config.output / "split.csv", split)
        record.outputs.append(config.output / "split.csv")
        print(f"split: {len(split.training)} training and {len(split.validation)} validation patients")
        return tuple(record.faults)
