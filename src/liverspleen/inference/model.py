"""A trained model: network and preprocessing, loaded from a checkpoint or a model package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen.errors import InputError, Issue, counted
from liverspleen.inference.description import is_of_phantoms_only
from liverspleen.inference.tested import TESTED, claim, scores
from liverspleen.inference.untrusted.model_file import CheckedModel, checked_model
from liverspleen.organs import ORGANS, Structure, listed, organ, organs
from liverspleen.shipped import model_path
from liverspleen.storage import StrPath

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from liverspleen.data.window import IntensityWindow
    from liverspleen.inference.untrusted.tensors import TensorPlace

# torch is imported inside the functions, so that a file that cannot be used is rejected before the import

ENGINES = ("torch", "onnxruntime")


def _cpu() -> torch.device:
    import torch

    return torch.device("cpu")


@dataclass(frozen=True)
class TrainedModel:
    """A network in evaluation mode with the preprocessing it was trained with.

    `network` maps scaled intensities (B, slices, H, W) on `device` to logits (B, 3, H, W); H and W are multiples of
    `stride`. `description` holds the checkpoint's plain values: structures, hashes of cohort and split, version. `name`
    is that of a model package, empty for a checkpoint. `sha256` identifies the model: it is the hash of a checkpoint
    file, or of the content of a model package, equal for folder and zip. Input slices are `slice_distance_mm` apart, as
    closely as the spacing of the CT allows; None: adjacent slices. Slices are resampled to pixels of `pixel_mm`; None:
    not resampled. `postprocessing` holds the rules that validation supports, by structure. `taught` are the organs that
    its training labels showed; every other organ is unknown to it. `tested` are results on CT scans that were not used
    for the training, see the module `tested`; None: not recorded.
    """

    network: Callable[[Tensor], Tensor]
    window: IntensityWindow
    slices: int
    stride: int
    description: Mapping[str, Any]
    sha256: str
    slice_distance_mm: float | None = None
    pixel_mm: float | None = None
    device: torch.device = field(default_factory=_cpu)
    postprocessing: Mapping[Structure, str] = field(default_factory=dict)
    phantoms_only: bool = False
    engine: str = "torch"
    taught: tuple[Structure, ...] = ORGANS
    tested: Mapping[str, Any] | None = None
    name: str = ""

    @property
    def members(self) -> tuple[TrainedModel, ...]:
        """The model itself: an ensemble has several."""
        return (self,)

    @property
    def issues(self) -> tuple[Issue, ...]:
        """Warnings that are reported at every use.

        LS-MOD-011 the model was trained on phantoms only, LS-MOD-033 the same with results on CT scans of patients,
        LS-MOD-020 it was not taught all organs.
        """
        found = []
        if self.phantoms_only and self.tested is None:
            message = (
                "model was trained on PHANTOMS ONLY; its label maps and volumes of CT scans of patients mean nothing"
            )
            hint = "train on CT scans of patients before measuring any"
            found.append(Issue("LS-MOD-011", message, hint, severity="warning"))
        elif self.phantoms_only and self.tested is not None:
            message = f"model was trained on phantoms only; {claim(self.tested)}: {scores(self.tested)}"
            hint = "research use only; check each label map, and compare some of your own cases with a reader"
            found.append(Issue("LS-MOD-033", message, hint, severity="warning"))
        if unknown := [organ.key for organ in ORGANS if organ not in self.taught]:
            known = listed(keys=[organ.key for organ in self.taught])
            message = f"model was taught {known} only; {listed(keys=unknown)} is unknown in its results, not absent"
            hint = f"use a model that was trained with labels of the {listed(keys=unknown)} if it is needed"
            found.append(Issue("LS-MOD-020", message, hint, severity="warning"))
        return tuple(found)


def load_model(path: StrPath, device: torch.device | str = "cpu", *, engine: str = "torch") -> TrainedModel:
    """Load the model of a checkpoint or of a model package (folder or .zip); no code in it is run.

    The text `phantom` is the shipped model.

    `engine` is `torch`, or `onnxruntime` for the model.onnx of a model package. The latter has CPU tensors as input and
    output, and computes on a CUDA device if `device` is one and ONNX Runtime supports it.

    Raises:
        InputError: the issues of `checked_model`, before torch is imported; then LS-MOD-010 the weights do not match
            the network, LS-CFG-006 unknown engine, LS-MOD-013 a model.onnx that cannot be used safely, LS-MOD-016
            weights that are not finite.
    """
    return trained_model(checked_model(model_path(path)), device, engine=engine)


def trained_model(found: CheckedModel, device: torch.device | str = "cpu", *, engine: str = "torch") -> TrainedModel:
    """Load a model that was checked, as `load_model` does."""
    if engine not in ENGINES:
        message = f"engine={engine} is unknown, expected one of {', '.join(ENGINES)}"
        raise InputError(Issue("LS-CFG-006", message, f"use engine={ENGINES[0]}"))
    if engine == "onnxruntime":  # checked before torch is imported
        from liverspleen.inference.onnx_engine import OnnxNetwork, checked_onnx

        onnx = checked_onnx(found)
    import torch

    from liverspleen.data.window import IntensityWindow

    on, network = torch.device(device), _network(found)
    stride: int = network.output_stride
    call: Callable[[Tensor], Tensor] = network
    if engine == "onnxruntime":
        call = OnnxNetwork(onnx, stride, cuda=on.type == "cuda", path=found.path)
        on = torch.device("cpu")
    else:
        network.load_state_dict(dict(_weights(found)), assign=True)
        _reject_not_finite(network, found.path)
        call = network.to(on).eval()
    description = found.description
    return TrainedModel(
        call,
        IntensityWindow(**description["window"]),
        description["slices"],
        stride,
        description,
        found.sha256,
        slice_distance_mm=description.get("slice_distance_mm"),
        pixel_mm=description.get("pixel_mm"),
        device=on,
        postprocessing=_postprocessing(found),
        phantoms_only=is_of_phantoms_only(description),
        engine=engine,
        taught=organs(description["taught_organs"]),
        tested=found.package.get(TESTED),
        name=str(found.package.get("name", "")),
    )


def _network(found: CheckedModel) -> Any:
    """Build the network without weights on torch's meta device, and compare its weights with those of the file.

    Raises:
        InputError: LS-MOD-008 the network cannot be built; LS-MOD-010 names, shapes or types of weights differ.
    """
    import torch

    from liverspleen.networks.build import build_network

    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that random initialisation does nothing on this device
            network = build_network(found.description["network"], slices=found.description["slices"])
    except (ValueError, TypeError, RuntimeError, NotImplementedError, AttributeError) as error:
        message = f"the network cannot be built ({error!s:.150})"
        raise InputError(
            Issue("LS-MOD-008", message, "give a model as liverspleen wrote it", file=found.path)
        ) from None
    expected, given = network.state_dict(), found.weights
    misfits = [name for name in expected if name in given and not _fits(expected[name], given[name])]
    differing = {
        "missing": sorted(set(expected) - set(given)),
        "without a layer": sorted(set(given) - set(expected)),
        "of another shape or type": misfits,
    }
    if wrong := [f"{len(names)} {message} (first {names[0][:80]!r})" for message, names in differing.items() if names]:
        message = f"the weights do not match the network of {counted(len(expected), 'tensor')}: {', '.join(wrong)}"
        raise InputError(Issue("LS-MOD-010", message, "give a model as liverspleen wrote it", file=found.path))
    return network


def _fits(expected: Tensor, given: TensorPlace) -> bool:
    return tuple(expected.shape) == given.shape and str(expected.dtype) == f"torch.{given.dtype}"


def _weights(found: CheckedModel) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and tensors of the weights, from their positions in the file."""
    import torch

    with found.file.open("rb") as handle:
        for name, place in sorted(found.weights.items()):
            handle.seek(place.offset)
            data = bytearray(place.size)
            if handle.readinto(data) != place.size:
                raise InputError(Issue("LS-MOD-006", "the file has changed", "restore the file", file=found.file))
            numbers = torch.frombuffer(data, dtype=getattr(torch, place.dtype)) if data else torch.empty(0)
            yield name, numbers.as_strided(place.shape, place.strides, place.first)


def same_weights(one: CheckedModel, other: CheckedModel) -> bool:
    """Return whether two models have the same weights, whatever file they are in."""
    import torch

    if set(one.weights) != set(other.weights):
        return False
    pairs = zip(_weights(one), _weights(other), strict=True)
    return all(ours.dtype == theirs.dtype and torch.equal(ours, theirs) for (_, ours), (_, theirs) in pairs)


def _reject_not_finite(network: nn.Module, path: Path) -> None:
    import torch

    wrong = [name for name, weight in network.state_dict().items() if not bool(torch.isfinite(weight).all())]
    if wrong:
        message = f"{counted(len(wrong), 'tensor')} with weights that are NaN or inf, first {wrong[0]!r}"
        raise InputError(Issue("LS-MOD-016", message, "use an earlier checkpoint, or train again", file=path))


def _postprocessing(found: CheckedModel) -> dict[Structure, str]:
    """Return the rules in model.json by structure; the names of rules are checked where they are used."""
    rules = found.package.get("postprocessing", {})
    rules = rules.get("rules", {}) if isinstance(rules, Mapping) else {}
    try:
        return {organ(key): str(rule) for key, rule in dict(rules).items()}
    except (ValueError, TypeError):
        message = "model.json has postprocessing rules for unknown structures"
        raise InputError(Issue("LS-MOD-008", message, "export the model again", file=found.path)) from None
