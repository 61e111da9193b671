"""The trained model that a training starts from: opened, compared, loaded, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen import assemble
from liverspleen.config import TrainConfig
from liverspleen.errors import InputError, Issue, counted
from liverspleen.inference.lineage import MOST_ANCESTORS, lineage
from liverspleen.inference.untrusted.model_file import CheckedModel, checked_model
from liverspleen.provenance import Run
from liverspleen.training.tasks import is_first_process

if TYPE_CHECKING:
    from torch import nn

    from liverspleen.data.build import CachedSides
    from liverspleen.training.recipe import Recipe


_MOST_CASES = 20_000
"""Recorded training cases of a start model and the models before it: model.json has at most 1 MiB and 50,000 values."""


@dataclass(frozen=True)
class Start:
    """A trained model whose network and input suit a training."""

    found: CheckedModel

    @property
    def models(self) -> list[dict[str, Any]]:
        """Records of this model and of the models before it, newest first."""
        return lineage(self.found)

    def load(self, network: nn.Module, config: TrainConfig) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Load the weights that fit; return `models` with the numbers of tensors, and a report with their names.

        Raises:
            InputError: LS-TRN-032 too few weights fit; LS-CFG-016 there is no encoder to freeze; as `trained_model`.
        """
        from liverspleen.inference.model import trained_model
        from liverspleen.training.start import encoder_of, load_start, start_weights

        if config.freeze is not None and encoder_of(network) is None:
            message = f"freeze={config.freeze} is given, but network {config.network.name} has no encoder"
            raise InputError(Issue("LS-CFG-016", message, "remove freeze="))
        trained: Any = trained_model(self.found).network
        about = self.found.description
        weights = start_weights(network, trained.state_dict(), slices=(about["slices"], config.slices.count))
        load_start(network, weights, path=self.found.path, like=about["network"])
        newest, *others = self.models
        report = {"model": self.found.sha256, "text": weights.text(), "weights": weights.counts, **weights.names}
        return [{**newest, "weights": weights.counts}, *others], report


def open_start(config: TrainConfig) -> Start | None:
    """Return the model of `start=`; None if the key is empty, or if the output folder has a checkpoint to resume from.

    Raises:
        InputError: as `checked_model` and `reject_other_models`, before any case is read.
    """
    if config.start is None:
        return None
    from liverspleen.training.resumption import BEST, LAST
    from liverspleen.training.start import reject_other_models

    if any((config.output / name).exists() for name in (LAST, BEST)):
        return None
    found = checked_model(config.start)
    own = _description(config, found.description.get("pixel_mm"))
    reject_other_models(own, found.description, config.start)
    reject_long_history(lineage(found), config.start)
    return Start(found)


def reject_long_history(models: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Reject a start model whose records, added to those of the new model, a reader of models would reject.

    Raises:
        InputError: LS-TRN-054.
    """
    cases = sum(len(model["trained_on"]["cases"]) for model in models if model["trained_on"] is not None)
    if cases > _MOST_CASES or len(models) > MOST_ANCESTORS:
        message = f"start= has records of {counted(len(models), 'model')} and {counted(cases, 'training case')}"
        message += f", expected at most {MOST_ANCESTORS} and {_MOST_CASES}"
        raise InputError(Issue("LS-TRN-054", message, "start from an earlier model of this series", file=file))


def _description(config: TrainConfig, pixel_mm: float | None) -> dict[str, Any]:
    """Return the network and the input of the new model, as in its checkpoints; `pixel_mm` stands for `auto`."""
    return {
        "network": assemble.architecture(config.network),
        "window": assemble.window(config).to_dict(),
        "slice_distance_mm": config.slices.distance_mm,
        "pixel_mm": pixel_mm if config.slices.pixel_mm == "auto" else config.slices.pixel_mm,
    }


def beginning(
    start: Start,
    config: TrainConfig,
    record: Run,
    sides: CachedSides,
    taught: Sequence[str],
    *,
    say: Callable[[str], None],
) -> Callable[[nn.Module], dict[str, Any]]:
    """Return the function that loads the start model into a network, reports this, and returns its records.

    Raises:
        InputError: LS-TRN-034 the model was taught other organs than `taught`; LS-TRN-031 it was trained on a case of
            the validation or test side.
    """
    from liverspleen.data.trained_on import reject_known
    from liverspleen.training.start import reject_other_organs, start_issues

    own = _description(config, None)
    record.issues.extend(start_issues(own, start.found.description, start.found.path))
    record.inputs["start"] = start.found.sha256
    reject_other_organs(taught, start.found.description["taught_organs"], start.found.path)
    reject_known(sides.validation, sides.tested, start.models)

    def load(network: nn.Module) -> dict[str, Any]:
        models, record.start = start.load(network, config)
        if is_first_process():
            say(f"start={config.start}: {record.start['text']}{_frozen(config)}")
        return {"ancestors": models}

    return load


def _frozen(config: TrainConfig) -> str:
    if config.freeze is None:
        return ""
    steps = "in all steps" if config.freeze_steps is None else f"for {counted(config.freeze_steps, 'step')}"
    return f"; {config.freeze} frozen {steps}"


def with_recorded_start(recipe: Recipe, config: TrainConfig) -> Recipe:
    """Return the recipe with the recorded start model, if that of `start=` is missing: resuming does not need it."""
    from liverspleen.training.resumption import recorded_key

    if config.start is None or config.start.exists():
        return recipe
    return replace(recipe, keys={**recipe.keys, "start": recorded_key(config.output, "start")})


def recorded_start(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entry of run.json for a resumed training, from the records in its checkpoint."""
    return {"model": models[0]["sha256"], "weights": models[0]["weights"]} if models else {}
