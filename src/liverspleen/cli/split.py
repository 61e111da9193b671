"""split the patients of a cohort into training and validation, or into k folds.

Only development cases with a labelled organ are used; all examinations of a patient are on the same side. Conditions,
sites, and conditions within sites are balanced; their counts differ by at most one patient where they cannot be equal.
Each file has the hash of the cohort, so trainings on a changed cohort are rejected. Split files of an earlier run in
output= are replaced.

examples
  liverspleen split cohort=cohort.csv output=split seed=1
  liverspleen split cohort=cohort.csv output=split folds=5

inputs
  cohort=     cohort.csv, or a folder of images (see liverspleen train --help)

outputs, in output=
  split.csv   patient_id, side (training or validation), seed, train_fraction, cohort_hash
  fold0.csv, fold1.csv, ...   with folds=, in place of split.csv, with the same columns; for train split=split/fold0.csv
  run.json    command, configuration, versions and hashes

exit codes
  0: finished; 2: cohort rejected, or rows rejected and the others split, each issue listed; 1: failure
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from liverspleen import assemble
from liverspleen.cohort.manifest import Cohort
from liverspleen.cohort.split import Split, write_split
from liverspleen.cohort.stratified import Stratum, folds_by_patient, split_by_patient, strata
from liverspleen.config import SplitConfig
from liverspleen.errors import Issue, counted
from liverspleen.provenance import recorded

_SPLIT_FILE = re.compile(r"split\.csv|fold\d+\.csv")
_ALL = "all"
_SHOWN = 10  # folds


def run(config: SplitConfig) -> Sequence[Issue]:
    """Draw and write the split, or the folds."""
    with recorded("split", config, config.output) as record:
        cohort = assemble.cohort(config.cohort, config)
        record.inputs["cohort"] = cohort.hash
        record.seeds["split"] = config.seed
        record.issues.extend(cohort.issues)
        splits = _draw(config, cohort)
        for file in config.output.iterdir():
            if _SPLIT_FILE.fullmatch(file.name):  # files of two splits are never mixed
                file.unlink()
        for name, split in splits.items():
            write_split(config.output / name, split)
            record.outputs.append(config.output / name)
        print("\n".join(_lines(strata(cohort), [*splits.values()])))
        return tuple(record.issues)


def _draw(config: SplitConfig, cohort: Cohort) -> dict[str, Split]:
    """Return the splits by file name."""
    if config.folds is not None:
        folds = folds_by_patient(cohort, folds=config.folds, seed=config.seed)
        return {f"fold{number}.csv": fold for number, fold in enumerate(folds)}
    fraction = 0.8 if config.train_fraction is None else config.train_fraction  # paper: 8:2
    return {"split.csv": split_by_patient(cohort, train_fraction=fraction, seed=config.seed)}


def _lines(patients: Mapping[str, Stratum], splits: Sequence[Split]) -> Iterator[str]:
    """Yield a table of patients by condition and site: training and validation, or validation of each fold."""
    if len(splits) == 1:
        sides = {"training": splits[0].training, "validation": splits[0].validation}
        yield f"split: {len(sides['training'])} training and {counted(len(sides['validation']), 'validation patient')}"
    else:
        sides = {f"fold{number}": split.validation for number, split in enumerate(splits)}
        yield f"split: {counted(len(patients), 'patient')}; each validates in one of {len(splits)} folds"
    columns = {side: _counts(patients[patient] for patient in names) for side, names in sides.items()}
    kinds = {kind for column in columns.values() for kind in column}
    if len(columns) > _SHOWN:
        ends = {"fewest": min, "most": max}
        columns = {e: Counter({k: pick(c[k] for c in columns.values()) for k in kinds}) for e, pick in ends.items()}
    conditions, sites = (sorted({kind[part] for kind in kinds} - {_ALL}) for part in (0, 1))
    rows = product([*conditions, _ALL][len(conditions) == 1 :], [*sites, _ALL][len(sites) == 1 :])
    table = [("condition", "site", *columns)]
    table += [(*row, *(str(column[row]) for column in columns.values())) for row in rows if row in kinds]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    for line in table:
        names = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        yield "  ".join(["", *names, *numbers])


def _counts(found: Iterable[Stratum]) -> Counter[tuple[str, str]]:
    """Count patients by condition and site, with totals over each."""
    counts = Counter[tuple[str, str]]()
    for stratum in found:
        condition, site = (" + ".join(value or "(none)" for value in values) for values in stratum)
        counts.update(product((condition, _ALL), (site, _ALL)))
    return counts
