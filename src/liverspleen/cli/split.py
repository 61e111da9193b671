"""draw training and validation patients, 8:2 or in k folds, once, as files.

Only development cases with an organ labelled take part; all examinations of a patient are on one side. Conditions,
sites, and conditions at each site are shared out alike, to the patient where their numbers do not divide. A file keeps
the cohort's hash, so that a training on a changed cohort is rejected. Files of an earlier draw in output= are replaced.

example
  liverspleen split cohort=cohort.csv output=split seed=1
  liverspleen split cohort=cohort.csv output=split folds=5

inputs
  cohort=     cohort.csv, or a folder of images (see liverspleen train --help)

outputs, in output=
  split.csv   patient_id, side (training or validation), seed, share and the cohort's hash
  fold0.csv, fold1.csv, ...   with folds=, instead: such a file each, for train split=split/fold0.csv
  run.json    what made them

exit codes
  0 done; 2 rows of the cohort rejected, each listed (the others are split), or the cohort rejected; 1 failure
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
from liverspleen.errors import Issue
from liverspleen.provenance import recorded

_OURS = re.compile(r"split\.csv|fold\d+\.csv")
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
        for left in config.output.iterdir():
            if _OURS.fullmatch(left.name):  # of another draw: the files of two are never mixed
                left.unlink()
        for name, split in splits.items():
            write_split(config.output / name, split)
            record.outputs.append(config.output / name)
        print("\n".join(_told(strata(cohort), [*splits.values()])))
        return tuple(record.issues)


def _draw(config: SplitConfig, cohort: Cohort) -> dict[str, Split]:
    """The splits by the names of their files."""
    if config.folds is not None:
        folds = folds_by_patient(cohort, folds=config.folds, seed=config.seed)
        return {f"fold{number}.csv": fold for number, fold in enumerate(folds)}
    fraction = 0.8 if config.train_fraction is None else config.train_fraction  # paper: 8:2
    return {"split.csv": split_by_patient(cohort, train_fraction=fraction, seed=config.seed)}


def _told(patients: Mapping[str, Stratum], splits: Sequence[Split]) -> Iterator[str]:
    """How many patients of each condition and site are where: training and validation, or validation of each fold."""
    if len(splits) == 1:
        sides = {"training": splits[0].training, "validation": splits[0].validation}
        yield f"split: {len(sides['training'])} training and {len(sides['validation'])} validation patients"
    else:
        sides = {f"fold{number}": split.validation for number, split in enumerate(splits)}
        yield f"split: {len(patients)} patients; each validates in one of {len(splits)} folds"
    columns = {side: _counts(patients[patient] for patient in named) for side, named in sides.items()}
    kinds = {kind for column in columns.values() for kind in column}
    if len(columns) > _SHOWN:
        ends = {"fewest": min, "most": max}
        columns = {e: Counter({k: pick(c[k] for c in columns.values()) for k in kinds}) for e, pick in ends.items()}
    conditions, sites = (sorted({kind[way] for kind in kinds} - {_ALL}) for way in (0, 1))
    rows = product([*conditions, _ALL][len(conditions) == 1 :], [*sites, _ALL][len(sites) == 1 :])
    table = [("condition", "site", *columns)]
    table += [(*row, *(str(column[row]) for column in columns.values())) for row in rows if row in kinds]
    widths = [max(map(len, words)) for words in zip(*table, strict=True)]
    for line in table:
        names = [word.ljust(width) for word, width in zip(line[:2], widths[:2], strict=True)]
        numbers = [word.rjust(width) for word, width in zip(line[2:], widths[2:], strict=True)]
        yield "  ".join(["", *names, *numbers])


def _counts(found: Iterable[Stratum]) -> Counter[tuple[str, str]]:
    """Patients by condition and site, each also over all of the other."""
    counts = Counter[tuple[str, str]]()
    for stratum in found:
        condition, site = (" + ".join(word or "(none)" for word in words) for words in stratum)
        counts.update(product((condition, _ALL), (site, _ALL)))
    return counts
