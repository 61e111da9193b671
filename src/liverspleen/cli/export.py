"""hand a model on as a model package, or a cohort in another layout.

model=: a trained model as one folder or .zip that loads anywhere, with a model card that says what it was trained on,
how, and how well it did; what was not recorded the card says so. With cohort= and split= its validation cases are
segmented: DSS and bias of volumes enter, and whether dropping small parts helps. Loading a model package runs nothing
from it.

layout=: a cohort for a peer that is trained on the same cases and the same split. Development cases with all organs
labelled become training cases, those of test datasets test cases. A training case on whose label map an organ is
unknown is left out: these layouts cannot say so, and a peer would learn that it is absent.

example
  liverspleen export model=run/best.ckpt output=package license=CC-BY-4.0 cohort=cohort.csv split=split/split.csv
  liverspleen export model=run/best.ckpt output=package.zip onnx=true
  liverspleen export cohort=cohort/cohort.csv layout=nnunet split=split output=nnUNet_raw/Dataset501_LiverSpleen
  liverspleen export cohort=cohort/cohort.csv layout=msd output=Task501_LiverSpleen

inputs
  model=             checkpoint of liverspleen train; run.json and metrics.csv beside it enter the card
  cohort=            cohort.csv
  split=             of model: the split it was trained with; of nnunet: split.csv, or a folder of fold0.csv, ...

outputs of model=, in output= or in one file if that ends in .zip
  model.safetensors, model.json, MODEL_CARD.md, LICENSE; with onnx=true model.onnx, if ONNX Runtime agrees with torch.
  No run.json: a model package goes to others, and holds no path, no name of a case and no command of this machine

outputs of layout=, in output=
  imagesTr/, labelsTr/, imagesTs/, and labelsTs/ of nnunet; dataset.json
  splits_final.json  the split, for nnUNet_preprocessed/<dataset>
  covariates.csv     what the layout cannot hold; import takes it back by covariates=
  run.json           what made it

exit codes
  0 done (warnings included); 2 cases or the model rejected, each listed (the other cases are exported); 1 failure
"""

from __future__ import annotations

from collections.abc import Sequence

from liverspleen.api.export import run_cohort_export, run_model_export
from liverspleen.config import ExportConfig
from liverspleen.errors import Issue


def run(config: ExportConfig) -> Sequence[Issue]:
    """Write the model package, or every case of the cohort."""
    if config.model is not None:
        package = run_model_export(config)
        print(f"export: model package {package.path}, SHA-256 {package.sha256}")
        return package.issues
    exported, cases = run_cohort_export(config)
    print(f"export: {exported.cases} of {cases} cases in {config.output}")
    return exported.issues
