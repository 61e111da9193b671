"""export a model as a model package, or a cohort in the layout of another framework.

model=: the model package is a folder or .zip with weights, description, license and a model card about training data,
recipe and results. The card states which information is missing. With cohort= and split= the validation cases are
segmented: the card then has their DSS and volume bias, and predictions remove small parts if this improves
the results of these cases.
With tested=, the card has the results of these measurements of CT scans that were not used for training: mean DSS with
intervals, and the lowest DSS with its case id. A CT that the model was trained on is rejected.
Loading a model package executes no code from it. Several models are exported as one ensemble package.

layout=: the exported dataset trains another framework on the same cases and the same split. Development cases with all
organs labelled become training cases, and cases of test datasets become test cases. A training case with an unlabelled
organ is skipped, because these layouts cannot mark an organ as unlabelled.

examples
  liverspleen export model=run/best.ckpt output=package license=CC-BY-4.0 cohort=cohort.csv split=split/split.csv
  liverspleen export model=run/best.ckpt output=package.zip onnx=true
  liverspleen export model=run/best.ckpt output=p tested=measured tested_cohort=t.csv tested_on=BTCV tested_design=true
  liverspleen export model=[fold_1/best.ckpt,fold_2/best.ckpt] output=ensemble
  liverspleen export cohort=cohort/cohort.csv layout=nnunet split=split output=nnUNet_raw/Dataset501_LiverSpleen
  liverspleen export cohort=cohort/cohort.csv layout=msd output=Task501_LiverSpleen

inputs
  model=             checkpoint of liverspleen train; the card also uses run.json and metrics.csv in its folder
  cohort=            cohort.csv
  tested=            measurements.csv of liverspleen measure, or its folder, for the label maps of this model; needs
                     tested_cohort= with the CT scans, tested_on= with their name, and tested_design=true or false
  split=             with model=: the split of the training; with layout=nnunet: split.csv, or a folder of folds

outputs with model=, in output= or in one .zip file
  model.safetensors, model.json, MODEL_CARD.md, LICENSE
  model.onnx with onnx=true, if ONNX Runtime and torch agree
  of several models: ensemble.json, MODEL_CARD.md, LICENSE, and their model packages in members/1 and so on
  There is no run.json: model packages are shared, so they contain no path and no command of this machine, and
  no case id except that of the lowest DSS of tested=.

outputs with layout=, in output=
  imagesTr/, labelsTr/, imagesTs/, dataset.json; for nnunet also labelsTs/
  splits_final.json  the split, for nnUNet_preprocessed/<dataset>
  covariates.csv     columns that the layout cannot store; liverspleen import covariates= reads them
  run.json           command, configuration, versions and hashes

exit codes
  0: finished, possibly with warnings; 2: input rejected, or cases rejected and the others exported (each issue is
  listed); 1: failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.export import run_cohort_export, run_model_export
from liverspleen.config import ExportConfig
from liverspleen.errors import Issue, counted


def run(config: ExportConfig) -> Sequence[Issue]:
    """Write the model package, or the dataset."""
    if config.model:
        package = run_model_export(config)
        kind = "model package" if len(config.model) == 1 else f"ensemble package of {len(config.model)} models"
        print(f"export: {kind} {package.path}, SHA-256 {package.sha256}")
        return package.issues
    exported, cases = run_cohort_export(config)
    print(f"export: {exported.cases} of {counted(cases, 'case')} written to {config.output}")
    return exported.issues
