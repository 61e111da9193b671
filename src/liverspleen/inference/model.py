"""A trained model: network and preprocessing together, out of a training's checkpoint or a model package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverspleen.errors import InputError, Issue
from liverspleen.inference.description import is_of_phantoms_only
from liverspleen.inference.untrusted.model_file import CheckedModel, checked_model
from liverspleen.organs import Structure, organ
from liverspleen.storage import StrPath

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from liverspleen.data.window import IntensityWindow
    from liverspleen.inference.untrusted.tensors import TensorPlace

# torch is imported inside the functions: a file that cannot be used is rejected before that

ENGINES = ("torch", "onnxruntime")


def _cpu() -> torch.device:
    import torch

    return torch.device("cpu")


@dataclass(frozen=True)
class TrainedModel:
    """A network in evaluation mode with the preprocessing it was trained with.

    `network` takes (B, slices, H, W) scaled intensities on `device` to logits (B, 3, H, W), and needs H and W to be
    multiples of `stride`. `about` holds the checkpoint's plain values: structures, cohort and split hashes, version;
    `sha256` identifies the model: of a checkpoint the file, of a model package its content, whatever folder or zip it
    is in. Neighbours are `slice_distance_mm` apart, as nearly as a CT's own spacing allows; None: next to each other.
    Slices are resampled to pixels of `pixel_mm`; None: as they are. `postprocessing` is what validation found to
    help, by structure.
    """

    network: Callable[[Tensor], Tensor]
    window: IntensityWindow
    slices: int
    stride: int
    about: Mapping[str, Any]
    sha256: str
    slice_distance_mm: float | None = None
    pixel_mm: float | None = None
    device: torch.device = field(default_factory=_cpu)
    postprocessing: Mapping[Structure, str] = field(default_factory=dict)
    phantoms_only: bool = False
    engine: str = "torch"

    @property
    def issues(self) -> tuple[Issue, ...]:
        """What whoever uses it must be told: the warning LS-MOD-011 of a model that has seen nothing but phantoms."""
        if not self.phantoms_only:
            return ()
        message = "this model was trained on PHANTOMS ONLY; on CT of patients its label maps and volumes mean nothing"
        return (Issue("LS-MOD-011", message, "train on real CT before measuring any", severity="warning"),)


def load_model(path: StrPath, device: torch.device | str = "cpu", *, engine: str = "torch") -> TrainedModel:
    """Load the model of a checkpoint, or of a model package (folder or .zip); no code in it is run.

    `engine` is `torch`, or `onnxruntime` for the network in a model package's model.onnx; that one takes and gives
    tensors of the CPU, and computes on a CUDA device where ONNX Runtime has one and `device` names it.

    Raises:
        InputError: what `checked_model` rejects, before torch is imported; then LS-MOD-010 the weights are not those of
            the network, LS-CFG-006 an unknown engine, LS-MOD-013 a model.onnx that cannot be used safely,
            LS-MOD-016 weights that are not finite.
    """
    return trained_model(checked_model(Path(path)), device, engine=engine)


def trained_model(found: CheckedModel, device: torch.device | str = "cpu", *, engine: str = "torch") -> TrainedModel:
    """The model that was checked; as `load_model`."""
    if engine not in ENGINES:
        raise InputError(Issue("LS-CFG-006", f"engine={engine}", f"use one of {', '.join(ENGINES)}"))
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
        network.load_state_dict(_weights(found), assign=True)
        _reject_not_finite(network, found.path)
        call = network.to(on).eval()
    about = found.about
    return TrainedModel(
        call,
        IntensityWindow(**about["window"]),
        about["slices"],
        stride,
        about,
        found.sha256,
        slice_distance_mm=about.get("slice_distance_mm"),
        pixel_mm=about.get("pixel_mm"),
        device=on,
        postprocessing=_postprocessing(found),
        phantoms_only=is_of_phantoms_only(about),
        engine=engine,
    )


def _network(found: CheckedModel) -> Any:
    """The network without numbers, on torch's meta device, once its weights are those that the file states.

    Raises:
        InputError: LS-MOD-008 it cannot be built; LS-MOD-010 names or shapes differ.
    """
    import torch

    from liverspleen.networks.build import build_network

    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nothing is drawn at random here
            network = build_network(found.about["network"], slices=found.about["slices"])
    except (ValueError, TypeError, RuntimeError, NotImplementedError, AttributeError) as error:
        message = f"the network cannot be built ({error!s:.150})"
        raise InputError(
            Issue("LS-MOD-008", message, "give a model as liverspleen wrote it", file=found.path)
        ) from None
    wanted, given = network.state_dict(), found.weights
    other = [name for name in wanted if name in given and not _fits(wanted[name], given[name])]
    differing = {
        "missing": sorted(set(wanted) - set(given)),
        "of no layer": sorted(set(given) - set(wanted)),
        "of another shape or type": other,
    }
    if wrong := [f"{len(names)} {message} (first {names[0][:80]!r})" for message, names in differing.items() if names]:
        message = f"not the weights of this network: of {len(wanted)} tensors {', '.join(wrong)}"
        raise InputError(Issue("LS-MOD-010", message, "give a model as liverspleen wrote it", file=found.path))
    return network


def _fits(wanted: Tensor, given: TensorPlace) -> bool:
    return tuple(wanted.shape) == given.shape and str(wanted.dtype) == f"torch.{given.dtype}"


def _weights(found: CheckedModel) -> dict[str, Tensor]:
    """The tensors, read from where they lie."""
    import torch

    read = {}
    with found.file.open("rb") as handle:
        for name, place in found.weights.items():
            handle.seek(place.offset)
            data = bytearray(place.size)
            if handle.readinto(data) != place.size:
                raise InputError(Issue("LS-MOD-006", "the file has changed", "bring it back", file=found.file))
            numbers = torch.frombuffer(data, dtype=getattr(torch, place.dtype)) if data else torch.empty(0)
            read[name] = numbers.as_strided(place.shape, place.strides, place.first)
    return read


def _reject_not_finite(network: nn.Module, path: Path) -> None:
    import torch

    wrong = [name for name, weight in network.state_dict().items() if not bool(torch.isfinite(weight).all())]
    if wrong:
        message = f"{len(wrong)} weights are not finite, first {wrong[0]!r}"
        raise InputError(Issue("LS-MOD-016", message, "take an earlier checkpoint, or train anew", file=path))


def _postprocessing(found: CheckedModel) -> dict[Structure, str]:
    """The rules that model.json holds; the words themselves are judged where they are used."""
    rules = found.package.get("postprocessing", {})
    rules = rules.get("rules", {}) if isinstance(rules, Mapping) else {}
    try:
        return {organ(key): str(rule) for key, rule in dict(rules).items()}
    except (ValueError, TypeError):
        message = "model.json names postprocessing of structures that there are not"
        raise InputError(Issue("LS-MOD-008", message, "write the model package anew", file=found.path)) from None
