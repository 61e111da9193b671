"""correct predicted label maps in a viewer, and import the edits with a history of each case.

With input=, the selected cases are copied to a folder each, which ITK-SNAP and 3D Slicer open. With top= and without
cases=, they are proposed: doubtful cases that differ from each other and from those with a folder (docs/correction.md).
With a table in cases=, they are its first cases that were not edited or judged.

With import=, the edited label maps are checked and added to the history of their case. Nothing is overwritten: each
label map, verdict and undo is a further entry. The newest confirmed label map of a case is in force; without one, the
newest corrected label map that no reader rejected. cohort.csv lists the label maps in force, for train and as reference
for measure.

examples
  liverspleen correct input=out top=10 output=todo
  liverspleen correct input=out cases=out/review.csv top=10 output=todo
  liverspleen correct import=todo reader=MB
  liverspleen correct import=todo state=confirmed reader=RK
  liverspleen correct import=todo state=rejected reader=RK "cases=[A017,A052]"
  liverspleen correct import=todo state=undone "cases=[A017]"
  liverspleen correct import=todo cohort=cohort/cohort.csv split=split/split.csv

inputs
  input=            output folder of liverspleen predict
  scans=            CT scans that were predicted, if run.json does not state their path (DICOM, moved files)
  import=           correction folder; the edited label map of a case is cases/<case_id>/<case_id>_dseg, with the suffix
                    .nii.gz, .seg.nrrd, .dcm (DICOM segmentation) or another image suffix; its grid is that of the CT,
                    or a box of the same voxels
  cases=            table with a column case_id, such as review.csv (most doubtful case first), or case ids
  cohort=, split=   original cohort and its split, to merge with the corrected cases

outputs, in output= or import=
  cases/<case_id>/  <case_id>_ct and <case_id>_dseg.nii.gz, <case_id>.itksnap (workspace of ITK-SNAP), <case_id>.mrml
                    (scene of 3D Slicer), itksnap.txt and slicer.ctbl (names and colours)
  history/<case_id>/  0001.json and so on: state, reader, date and changes; 0001.nii.gz: the label map of that entry
  corrections.csv   one row per entry: DSS before and after, cm³ before and after, and changed slices per organ
  cohort.csv        one row per case with a label map in force, with columns on its origin (label_state and others)
  merged_cohort.csv, merged_split.csv   with cohort=: original and corrected cases, for train; the validation and test
                    cases are those of the original, and the corrected cases are on the training side; an import without
                    cohort= that changes the label maps in force removes both
  run.json          command, configuration, versions and hashes

exit codes
  0: finished, possibly with warnings; 2: input rejected, or cases rejected and the others finished (each issue is
  listed); 1: failure
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liverspleen.api.correction import run_import, run_making
from liverspleen.config import CorrectConfig
from liverspleen.errors import Issue, counted


def run(config: CorrectConfig) -> Sequence[Issue]:
    """Make the folders of cases, or import their edits."""
    if config.input is not None:
        made = run_making(config)
        for number, choice in enumerate(made.choices, start=1):
            print(f"correct: proposal {number}: {choice}")
        print(f"correct: {counted(len(made.cases), 'case')} in {config.output}, {made.kept} of them from earlier runs")
        return made.issues
    done = run_import(config)
    print(f"correct: new entries: {_listed(done.recorded)}")
    print(f"correct: label maps in force: {_listed(done.in_force)}; tables {', '.join(map(str, done.tables))}")
    if done.without:
        print(f"correct: without a label map in force: {counted(len(done.without), 'case')}, first {done.without[0]!r}")
    if merged := done.merged:
        print(f"correct: cohort {merged.cohort}: added cases {merged.added}, replaced label maps {merged.replaced}")
        print(f"correct: for train: cohort={merged.cohort} root={merged.root} split={merged.split}")
    return done.issues


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(numbers.items())) or "none"
