"""Export of a trained model as a model package: check the checkpoint, segment its validation cases, write the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen.cohort.manifest import Case, Cohort
from liverspleen.cohort.split import read_split
from liverspleen.errors import InputError, Issue
from liverspleen.inference.package_files import described, reject_foreign, reject_names, write_package
from liverspleen.inference.tested import TESTED
from liverspleen.inference.untrusted.model_file import CheckedModel, checked_model
from liverspleen.output_folder import occupied
from liverspleen.processes import progress
from liverspleen.storage import sha256_of

if TYPE_CHECKING:
    import torch

    from liverspleen.inference.evidence import UnseenCases


@dataclass(frozen=True)
class ValidationSide:
    """The validation cases of a split, and the hashes of the cohort and of the split."""

    cases: Sequence[Case]
    issues: Sequence[Issue]
    cohort: str
    split: str


@dataclass(frozen=True)
class Package:
    """A written model package."""

    path: Path
    sha256: str
    issues: tuple[Issue, ...]


def export_model(
    checkpoint: Path,
    output: Path,
    *,
    name: str,
    license: str | None,
    onnx: bool,
    side: Callable[[CheckedModel], ValidationSide | None],
    device: Callable[[], torch.device],
    unseen: UnseenCases | None = None,
) -> Package:
    """Check the checkpoint, segment the validation cases if there are any, and write the package.

    Args:
        checkpoint: checkpoint of a training.
        output: folder, or a file that ends in .zip.
        name: name of the model.
        license: SPDX identifier; None: not stated.
        onnx: whether the network is also written as ONNX.
        side: returns the validation cases for the checked checkpoint; None: no validation.
        device: returns the device for the validation; called only if there are cases.
        unseen: measured cases that were not used for the training; None: their results are not recorded.

    Raises:
        InputError: LS-XPT-014 `checkpoint` is a package; LS-MOD-006 the checkpoint changed while it was read; the
            issues of `unseen_results`; or the name, license, checkpoint or output is not valid; as `occupied`.
    """
    reject_names(name, license)
    reject_foreign(output)
    with nullcontext() if output.suffix == ".zip" else occupied(output):  # a file is complete or absent
        found = checked_model(checkpoint)
        if found.files is not None:
            message = "model= is a model package, expected a checkpoint"
            raise InputError(Issue("LS-XPT-014", message, "give the checkpoint of the package", file=checkpoint))
        description = described(found, name=name, license=license)
        issues: list[Issue] = []
        if unseen is not None:
            description[TESTED] = _tested(found, unseen, issues)
        model = _model(found, side(found), device, description, issues)
        network: Any = model.network
        network = network.cpu()
        exported = onnx_bytes(model, network, description, issues) if onnx else None
        from liverspleen.networks.weights_file import safetensors_bytes

        sha256 = write_package(
            output, description, safetensors_bytes(network.state_dict(), found.description), exported
        )
        return Package(output, sha256, tuple(issues))


def _tested(found: CheckedModel, unseen: UnseenCases, issues: list[Issue]) -> dict[str, Any]:
    from liverspleen.inference.evidence import unseen_results

    with progress("export", len(unseen.cohort.cases)) as advance:
        results, found_issues = unseen_results(found, unseen, on_case=advance)
    issues.extend(found_issues)
    return results


def validation_side(found: CheckedModel, cohort: Cohort, split_file: Path) -> ValidationSide:
    """Return the validation cases of the split that the model was trained with.

    Raises:
        InputError: LS-XPT-015 the model was trained with another split; LS-XPT-016 the split has no validation case.
    """
    split, sha256 = read_split(split_file, cohort), sha256_of(split_file)
    if sha256 != found.description.get("split"):
        message = "the model was trained with another split, so validation cases may have been training cases"
        raise InputError(Issue("LS-XPT-015", message, "give the split of the training", file=split_file))
    cases = split.cases(cohort, "validation")
    if not cases:
        message = "this split has no validation case"
        raise InputError(Issue("LS-XPT-016", message, "remove cohort= and split=", file=split_file))
    return ValidationSide(cases, cohort.issues, cohort.hash, sha256)


def _model(
    found: CheckedModel,
    side: ValidationSide | None,
    device: Callable[[], torch.device],
    description: dict[str, Any],
    issues: list[Issue],
) -> Any:
    """Return the loaded model; add the validation results to `description` and the issues to `issues`."""
    from liverspleen.inference.model import load_model

    model = load_model(found.path, device() if side else "cpu")
    if model.sha256 != found.sha256:
        message = "the checkpoint changed while it was read"
        raise InputError(Issue("LS-MOD-006", message, "run the same command again", file=found.path))
    issues.extend(replace(model, tested=description.get(TESTED)).issues)
    if side is not None:
        from liverspleen.inference.validation import validate

        issues.extend(side.issues)
        with progress("export", len(side.cases)) as advance:
            validation, description["postprocessing"] = validate(model, side.cases, on_case=advance)
        issues.extend(validation.issues)
        description["validation"] = {**validation.plain(), "cohort": side.cohort, "split": side.split}
    return model


def onnx_bytes(model: Any, network: Any, description: dict[str, Any], issues: list[Issue]) -> bytes:
    """Return the network as ONNX; add the comparison with torch to `description`."""
    from liverspleen.inference.onnx_export import export_onnx

    exported = export_onnx(network, slices=model.slices, stride=model.stride, window=model.window)
    description["onnx"] = exported.description
    if not exported.any_size:
        message = f"the ONNX export accepts only input of shape {exported.description['size']}"
        issues.append(Issue("LS-XPT-017", message, "use engine=torch for other sizes", severity="warning"))
    return exported.data
