"""train a 2.5D DeepLabV3+ on the development cases of a cohort.

Does what is missing first: draws the split (split=), fills the slice cache (cache=). Rejects a test case of the cohort
whose voxels are those of a case to learn from or to validate on, under whatever name; a test image that cannot be read
is no matter here. Cases in which only one organ is labelled teach that organ. Stopped or killed, the same command goes
on and ends as if nothing had happened; finished, it says so. With more trainer.steps= a finished training goes on; a
polynomial rate is then planned anew, so that the result differs from a training planned for that length. Ctrl-C,
SIGTERM and SIGUSR1 stop after the step under way, a second time at once. trainer=ddp trains on several GPUs
(trainer.devices=, trainer.nodes=), also under torchrun and SLURM; there fill the cache first (liverspleen prepare).

A folder of images is a cohort too: images/ and labels/, or imagesTr/ and labelsTr/, with files of the same names (but
for nnU-Net's _0000), or X.nii.gz beside X_label.nii.gz. Its label maps hold 0 background, 1 liver, 2 spleen; each CT
counts as a patient of its own. The table of its files is written into output=, and the folder rejected if it has
changed when the training goes on. DICOM and label maps with other values: liverspleen import first.

Rejected are a split in which a patient is on both sides, or has test cases, a split of another cohort, a CT that by its
voxels is on both sides, and to go on with images, label maps or a configuration that were changed: every difference is
named (docs/reference/formats.md).

example
  liverspleen train cohort=cohort.csv split=split/split.csv output=outputs/model experiment=phantom trainer.steps=2000
  liverspleen train cohort=folder output=outputs/model

inputs
  cohort=       cohort.csv, or a folder of images
  split=        split.csv or a fold of liverspleen split

outputs, in output=
  last.ckpt, best.ckpt   weights with preprocessing, structures and split hash (best: by DSS per case, in 3D)
  model.safetensors      the weights of best.ckpt (of last.ckpt without validation) for other programs
  metrics.csv            loss and validation DSS by step
  validation.csv         DSS and volumes of each validation case at the last validation
  split.csv, cohort.csv  the split, without split=; the table of a folder of images
  run.json               what made them

exit codes
  0 done; 2 cases or input rejected, each listed (the other cases are learnt from); 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.training import run_training
from liverspleen.config import TrainConfig
from liverspleen.errors import Issue


def run(config: TrainConfig) -> Sequence[Issue]:
    """Train, resume, or report that the training is finished."""
    return run_training(config).issues
