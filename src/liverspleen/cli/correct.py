"""correct predicted label maps in a viewer, and import the edits with a history of each case.

With input=, the selected cases are copied to a folder each, which ITK-SNAP and 3D Slicer open. With import=, the edited
label maps are checked and added to the history of their case. Nothing is overwritten: each label map, verdict and undo
is a further entry. The newest confirmed label map of a case is in force; without one, the newest corrected label map
that no reader rejected. cohort.csv lists the label maps in force, for train and as reference for measure.

examples
  liverspleen correct input=out cases=out/review.csv top=10 output=todo
  liverspleen correct import=todo reader=MB
  liverspleen correct import=todo state=confirmed reader=RK
  liverspleen correct import=todo state=rejected reader=RK "cases=[A017,A052]"
  liverspleen correct import=todo state=undone "cases=[A017]"

inputs
  input=            output folder of liverspleen predict
  scans=            CT scans that were predicted, if run.json does not state their path (DICOM, moved files)
  import=           correction folder; the edited label map of a case is cases/<case_id>/<case_id>_dseg, with the suffix
                    .nii.gz, .seg.nrrd, .dcm (DICOM segmentation) or another image suffix; its grid is that of the CT,
                    or a box of the same voxels
  cases=            table with a column case_id, or case ids

outputs, in output= or import=
  cases/<case_id>/  <case_id>_ct and <case_id>_dseg.nii.gz, <case_id>.itksnap (workspace of ITK-SNAP), <case_id>.mrml
                    (scene of 3D Slicer), itksnap.txt and slicer.ctbl (names and colours)
  history/<case_id>/  0001.json and so on: state, reader, date and changes; 0001.nii.gz: the label map of that entry
  corrections.csv   one row per entry: DSS before and after, cm³ before and after, and changed slices per organ
  cohort.csv        one row per case with a label map in force, with label_state, label_source and label_reader
  run.json          command, configuration, versions and hashes

exit codes
  0: finished, possibly with warnings; 2: input rejected, or cases rejected and the others finished (each issue is
  listed); 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.correction import run_import, run_making
from liverspleen.config import CorrectConfig
from liverspleen.errors import Issue, counted


def run(config: CorrectConfig) -> Sequence[Issue]:
    """Make the folders of cases, or import their edits."""
    if config.input is not None:
        made = run_making(config)
        print(f"correct: {counted(made.made, 'case')} in {config.output}, {made.kept} of them from earlier runs")
        return made.issues
    done = run_import(config)
    new = ", ".join(f"{number} {state}" for state, number in sorted(done.recorded.items())) or "none"
    print(f"correct: new entries: {new}")
    maps = ", ".join(f"{number} {state}" for state, number in sorted(done.in_force.items())) or "none"
    print(f"correct: label maps in force: {maps}; tables {', '.join(map(str, done.tables))}")
    return done.issues
