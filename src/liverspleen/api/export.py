"""Export a model as a model package, or a cohort in another layout, with a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverspleen import assemble
from liverspleen.cohort.export_run import Exported, export_cohort
from liverspleen.cohort.manifest import read_cohort
from liverspleen.cohort.split import read_splits, split_hashes
from liverspleen.config import ExportConfig
from liverspleen.errors import InputError, Issue
from liverspleen.inference.tested import is_name
from liverspleen.provenance import recorded

if TYPE_CHECKING:
    from liverspleen.inference.evidence import UnseenCases
    from liverspleen.inference.package_export import Package, ValidationSide
    from liverspleen.inference.untrusted.model_file import CheckedModel


def run_model_export(config: ExportConfig) -> Package:
    """Write the model package, or the ensemble package of several models.

    Raises:
        InputError: the checkpoint, the cohort or the output cannot be used.
    """
    from liverspleen.inference.package_export import export_model, validation_side

    if len(config.model) > 1:
        from liverspleen.inference.ensemble_export import export_ensemble

        return export_ensemble(config.model, config.output, name=config.name, license=config.license, onnx=config.onnx)

    def side(found: CheckedModel) -> ValidationSide | None:
        if config.cohort is None or config.split is None:
            return None
        return validation_side(found, assemble.cohort(config.cohort, config), config.split)

    return export_model(
        config.model[0],
        config.output,
        name=config.name or config.output.name.removesuffix(".zip"),
        license=config.license,
        onnx=config.onnx,
        side=side,
        device=lambda: assemble.device("auto"),
        unseen=_unseen(config),
    )


def _unseen(config: ExportConfig) -> UnseenCases | None:
    """Return the test cases of `tested=`; None without them."""
    if config.tested is None:
        return None
    from liverspleen.inference.evidence import UnseenCases

    assert config.tested_cohort is not None
    assert config.tested_on is not None
    assert config.tested_design is not None
    if not is_name(config.tested_on):
        message = f"tested_on={config.tested_on!r} is not valid"
        raise InputError(Issue("LS-XPT-012", message, "use at most 100 letters, digits, spaces and .,+()-"))
    cohort = assemble.cohort(config.tested_cohort, config)
    return UnseenCases(config.tested, cohort, config.tested_on, config.tested_design)


def run_cohort_export(config: ExportConfig) -> tuple[Exported, int]:
    """Write the dataset, and return it with the number of cases in the cohort.

    Raises:
        InputError: the cohort, the split or the output cannot be used, or no case could be exported.
    """
    assert config.cohort is not None
    assert config.layout is not None
    with recorded("export", config, config.output) as record:
        cohort = read_cohort(config.cohort, root=config.root, vocabulary=assemble.vocabulary(config.vocabulary))
        record.inputs["cohort"] = cohort.hash
        record.issues.extend(cohort.issues)
        splits = {} if config.split is None else read_splits(config.split, cohort)
        record.inputs |= {} if config.split is None else split_hashes(config.split)
        exported = export_cohort(
            cohort, config.layout, config.output, splits=tuple(splits.values()), workers=config.workers
        )
        record.issues.extend(exported.issues)
        record.outputs += exported.files
        found = Exported(exported.cases, exported.files, tuple(record.issues))
    return found, len(cohort.cases)
