"""The other use of `liverspleen export`: a trained model as a bundle for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from liverspleen import assemble
from liverspleen.cli.progress import progress
from liverspleen.cohort.manifest import Case
from liverspleen.cohort.split import read_split
from liverspleen.config import ExportConfig
from liverspleen.errors import InputError, Issue
from liverspleen.storage import sha256_of

if TYPE_CHECKING:
    from liverspleen.inference.checked import CheckedModel


@dataclass(frozen=True)
class _Side:
    """The cases that validate, and the hashes of where they stand."""

    cases: Sequence[Case]
    issues: Sequence[Issue]
    cohort: str
    split: str


def export_model(config: ExportConfig) -> Sequence[Issue]:
    """Check the checkpoint, look at the validation cases if asked to, write the bundle."""
    from liverspleen.inference.bundle_writing import described, refuse_foreign, refuse_words, write_bundle
    from liverspleen.inference.checked import checked_model

    assert config.model is not None
    name = config.name or config.output.name.removesuffix(".zip")
    refuse_words(name, config.licence)
    refuse_foreign(config.output)
    found = checked_model(config.model)
    if found.files is not None:
        message = "model= is a bundle already"
        raise InputError(Issue("LS-XPT-014", message, "give the checkpoint it was made from", file=config.model))
    description = described(found, name=name, licence=config.licence)
    issues: list[Issue] = []
    side = _side(config, found)
    onnx, weights = _built(config, found, side, description, issues)
    sha256 = write_bundle(config.output, description, weights, onnx)
    print(f"export: model bundle {config.output}, SHA-256 {sha256}")
    return issues


def _side(config: ExportConfig, found: CheckedModel) -> _Side | None:
    """The validation cases of the model's own split.

    Raises:
        InputError: LS-XPT-015 another split than the model was trained with; LS-XPT-016 nobody validates in it.
    """
    if config.cohort is None or config.split is None:
        return None
    cohort = assemble.cohort(config.cohort, config)
    split, sha256 = read_split(config.split, cohort), sha256_of(config.split)
    if sha256 != found.about.get("split"):
        message = "the model was not trained with this split, and may have learnt from cases that validate here"
        raise InputError(Issue("LS-XPT-015", message, "give the split of its training", file=config.split))
    cases = split.cases(cohort, "validation")
    if not cases:
        message = "no case of this split validates"
        raise InputError(Issue("LS-XPT-016", message, "leave cohort= and split= out", file=config.split))
    return _Side(cases, cohort.issues, cohort.hash, sha256)


def _built(
    config: ExportConfig, found: CheckedModel, side: _Side | None, description: dict[str, Any], issues: list[Issue]
) -> tuple[bytes | None, bytes]:
    """ONNX, if asked for, and the weights; figures and faults are added to what they are about."""
    from liverspleen.inference.model import load_model
    from liverspleen.networks.weights_file import safetensors_bytes

    model = load_model(found.path, assemble.device("auto") if side else "cpu")
    if model.sha256 != found.sha256:
        message = "the checkpoint changed while it was read"
        raise InputError(Issue("LS-MOD-006", message, "run the same command again", file=found.path))
    issues.extend(model.issues)
    if side is not None:
        from liverspleen.inference.validation import validate

        issues.extend(side.issues)
        with progress("export", len(side.cases)) as advance:
            figures, description["postprocessing"] = validate(model, side.cases, on_case=advance)
        issues.extend(figures.issues)
        description["validation"] = {**figures.plain(), "cohort": side.cohort, "split": side.split}
    network: Any = model.network
    network = network.cpu()
    onnx = None
    if config.onnx:
        from liverspleen.inference.onnx_export import export_onnx

        made = export_onnx(network, sections=model.sections, stride=model.stride, window=model.window)
        onnx, description["onnx"] = made.data, made.about
        if not made.is_open:
            message = f"the ONNX export takes sections of {made.about['size']} only"
            issues.append(Issue("LS-XPT-017", message, "use engine=torch for others", severity="warning"))
    return onnx, safetensors_bytes(network.state_dict(), found.about)
