"""train a network on the development cases of a cohort.

Missing steps run first: the split (split=) and the slice cache (cache=). Test images are read only to find duplicates;
unreadable ones are ignored. A case with one labelled organ trains only that organ. The same command resumes an
interrupted training with the same result as an uninterrupted one. If the training is finished, the command reports
this. With a larger trainer.steps= a finished training continues. A polynomial learning rate is then recomputed for the
new length, so the result differs from one uninterrupted training of that length. With trainer.minutes= the number of
steps is planned at the start from measured times, and a resumed training keeps it. Ctrl-C, SIGTERM, SIGUSR1 or
SIGHUP (a closed terminal) stops after the current step, also if it reaches the loader processes (trainer.workers=) as
well; a second signal stops immediately. trainer=ddp trains on several GPUs (trainer.devices=,
trainer.nodes=), also with torchrun and SLURM; build the cache first (liverspleen prepare).

start= gives a model (checkpoint or model package) from whose weights the training starts; the loaded, adapted and new
weights are printed. freeze=encoder freeze_steps=200 keeps the encoder for the first 200 steps. start=phantom is the
shipped model; experiment=finetune_phantom includes it, with its network and input slices.

A folder of images is also a cohort: images/ and labels/, or imagesTr/ and labelsTr/, with files of the same names
(except _0000 of nnU-Net), or X.nii.gz with X_label.nii.gz. Label maps contain 0 background, 1 liver, 2 spleen; each
CT is a separate patient. A table of the files is written to output=. If the folder has changed, the training does not
resume. For DICOM and other label values use liverspleen import.

Training is rejected in these cases:
  - the split belongs to another cohort
  - a patient is in both training and validation, or has test cases
  - the same CT scan (by its voxels, whatever its name) is in both training and validation, or is a test case
  - a validation or test case was a training case of the model of start=, or of a model before it
  - the model of start= has another network, window or organs
  - a label map of liverspleen correct is not the one that the cohort states
  - the training would resume with changed images, label maps or options; the differences are listed
    (docs/reference/formats.md)

examples
  liverspleen train cohort=cohort.csv split=split/split.csv output=outputs/model experiment=phantom trainer.steps=2000
  liverspleen train cohort=folder output=outputs/model
  liverspleen train cohort=cohort.csv output=outputs/cv folds=5
  liverspleen train cohort=cohort.csv output=outputs/phantom experiment=finetune_phantom
  liverspleen train cohort=new.csv output=outputs/new start=model.zip experiment=finetune network=small slices=abdomen

inputs
  cohort=                cohort.csv, or a folder of images
  split=                 split.csv, or a fold of liverspleen split
  start=                 checkpoint or model package to start from; phantom is the shipped model, ./phantom a path

outputs, in output=
  last.ckpt, best.ckpt   weights, preprocessing settings, organ names, and a hash of the split; best.ckpt has the
                         highest validation DSS (per case, in 3D)
  model.safetensors      weights of best.ckpt (last.ckpt if there is no validation) for other programs
  metrics.csv            loss, validation DSS, learning rate, time and memory by step
  curves.png             loss, learning rate and validation DSS by step
  validation.csv         DSS and volumes of each case at the last validation
  split.csv              the split, if split= is empty
  cohort.csv             table of the files, if the cohort is a folder of images
  run.json               command, configuration, versions and hashes
  with folds=            split/, fold0/, ..., predictions/, measure/, report/ and the model package ensemble/

exit codes
  0: finished, possibly with warnings; 2: input rejected, or cases rejected and the others used (each issue is
  listed); 1: interrupted, or failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.folds import run_folds
from liverspleen.api.training import run_training
from liverspleen.config import TrainConfig
from liverspleen.errors import Issue


def run(config: TrainConfig, given: Sequence[str] = ()) -> Sequence[Issue]:
    """Train, resume, or report that the training is finished; with `folds=` a cross-validation."""
    if config.folds is not None:
        return run_folds(config, given).issues
    return run_training(config).issues
