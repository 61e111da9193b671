"""Start of a training from the weights of a trained model: which ones fit, and what prevents it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from liverspleen.errors import InputError, Issue, counted
from liverspleen.organs import listed
from liverspleen.shipped import EXPERIMENT, is_shipped

_KERNEL_AXES = 2  # a tensor with fewer is a bias, a scale or a counter
_LEAST_FRACTION = 0.5  # of the kernels of the encoder. Not in the paper


@dataclass(frozen=True)
class StartWeights:
    """The weights of a start model for a network, by name, and the names of those that were changed or do not fit.

    `adapted` have another number of input slices; `new` are weights of the network that keep their random values, as
    the start model has none of that name and shape; `unused` are weights of the start model that the network lacks.
    """

    weights: Mapping[str, Tensor]
    adapted: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of tensors that are loaded unchanged, adapted, new and unused."""
        loaded = len(self.weights) - len(self.adapted)
        return {"loaded": loaded, "adapted": len(self.adapted), "new": len(self.new), "unused": len(self.unused)}

    @property
    def names(self) -> dict[str, list[str]]:
        """Names of the tensors that are not loaded unchanged, by kind."""
        return {"adapted": [*self.adapted], "new": [*self.new], "unused": [*self.unused]}

    def text(self) -> str:
        """Return the numbers as text, with the first name of each kind except the loaded ones."""
        if not (self.adapted or self.new or self.unused):
            return f"all {counted(len(self.weights), 'tensor')} loaded"
        parts = [f"{len(names)} {kind} (first {names[0]})" for kind, names in self.names.items() if names]
        return ", ".join([f"{counted(self.counts['loaded'], 'tensor')} loaded", *parts])


def start_weights(network: nn.Module, given: Mapping[str, Tensor], *, slices: tuple[int, int]) -> StartWeights:
    """Return the weights of a start model that fit into a network; the network is not changed.

    A tensor fits if it has the name and the shape of one of the network. The first convolution also fits if only its
    number of input slices differs: see `with_slices`.

    Args:
        network: network of the training.
        given: weights of the start model by name.
        slices: numbers of input slices of the start model and of the network.
    """
    before, now = slices
    state, fitting, adapted = network.state_dict(), {}, []
    for name, own in state.items():
        weight = given.get(name)
        if weight is None or weight.dtype != own.dtype:
            continue
        if weight.shape == own.shape:
            fitting[name] = weight
        elif _has_slices(weight, before) and own.shape == (len(weight), now, *weight.shape[2:]):
            fitting[name] = with_slices(weight, now)
            adapted.append(name)
    new = tuple(name for name in state if name not in fitting)
    return StartWeights(fitting, tuple(adapted), new, tuple(name for name in given if name not in state))


def _has_slices(weight: Tensor, slices: int) -> bool:
    return weight.ndim > _KERNEL_AXES and weight.shape[1] == slices


def with_slices(weight: Tensor, slices: int) -> Tensor:
    """Return the weights (out, in, h, w) of a first convolution for another odd number of input slices.

    The middle slice stays the middle one. Additional outer slices get weights of 0, so that the network computes what
    it computed before. Weights of removed outer slices are added to those of the outermost remaining one, so that the
    result is the same where neighbouring slices are equal.

    >>> import torch
    >>> weight = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 5, 1, 1)
    >>> with_slices(weight, 3).flatten().tolist(), with_slices(weight, 7).flatten().tolist()
    ([3.0, 3.0, 9.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0])
    """
    before = weight.shape[1]
    found = weight.new_zeros(weight.shape[0], slices, *weight.shape[2:])
    for index in range(before):
        place = min(max(index + (slices - before) // 2, 0), slices - 1)
        found[:, place] += weight[:, index]
    return found


def load_start(network: nn.Module, found: StartWeights, *, path: Path, like: Mapping[str, Any]) -> None:
    """Load the weights of a start model into a network.

    Args:
        network: network of the training.
        found: weights that fit.
        path: start model, for the message.
        like: keys of the architecture of the start model, for the hint.

    Raises:
        InputError: LS-TRN-032 fewer than half of the kernels of the encoder (without one: of the network) fit.
    """
    needed = [name for name in _encoder_names(network) if network.get_parameter(name).ndim >= _KERNEL_AXES]
    fitting = sum(name in found.weights for name in needed)
    if fitting < _LEAST_FRACTION * len(needed):
        message = f"weights of start= fit only {fitting} of {counted(len(needed), 'kernel')} of the encoder"
        raise InputError(Issue("LS-TRN-032", message, _hint("network", like, path), file=path))
    network.load_state_dict({**network.state_dict(), **found.weights})


def encoder_of(network: nn.Module) -> nn.Module | None:
    """Return the encoder of a network; None if a user-defined network has none."""
    encoder = getattr(network, "encoder", None)
    return encoder if isinstance(encoder, nn.Module) else None


def _encoder_names(network: nn.Module) -> list[str]:
    encoder = encoder_of(network) or network
    inside = {id(parameter) for parameter in encoder.parameters()}
    return [name for name, parameter in network.named_parameters() if id(parameter) in inside]


def reject_other_models(own: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> None:
    """Reject a start model of another kind of network, or with another intensity window.

    `own` and `given` are the descriptions of the new and of the start model.

    Raises:
        InputError: LS-TRN-032 another network or encoder; LS-TRN-033 another window; both in one list.
    """
    issues = []
    before, now = given["network"], own["network"]
    kinds = [f"{one.get('name', 'deeplab')} {one.get('encoder') or ''}".strip() for one in (before, now)]
    if kinds[0] != kinds[1]:
        message = f"start= is a model with network {kinds[0]}, but this training has {kinds[1]}"
        differing = {key: before.get(key) for key in {**now, **before} if before.get(key) != now.get(key)}
        issues.append(Issue("LS-TRN-032", message, _hint("network", differing, path), file=path))
    if given["window"] != own["window"]:
        texts = [
            f"{window['lower_hu']:g} to {window['upper_hu']:g} HU{', clipped' if window['clip'] else ', not clipped'}"
            for window in (given["window"], own["window"])
        ]
        message = f"start= was trained with the window {texts[0]}, but this training has {texts[1]}"
        window = given["window"]
        same = {
            "window_lower_hu": window["lower_hu"],
            "window_upper_hu": window["upper_hu"],
            "clip": window["clip"],
        }
        issues.append(Issue("LS-TRN-033", message, _hint("slices", same, path), file=path))
    if issues:
        raise InputError(issues)


def start_issues(own: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> Iterator[Issue]:
    """Yield the warnings LS-TRN-035, another resolution, and LS-TRN-036, the training cases are not recorded."""
    keys = {"slice_distance_mm": "distance_mm", "pixel_mm": "pixel_mm"}
    if differing := {keys[key]: given[key] for key in keys if given[key] != own[key]}:
        now = ", ".join(f"slices.{keys[key]} {_shown(own[key]) or 'empty'}" for key in keys if keys[key] in differing)
        before = ", ".join(f"slices.{key} {_shown(value) or 'empty'}" for key, value in differing.items())
        message = f"start= was trained with {before}, but this training has {now}: organs have another size in pixels"
        hint = f"{_hint('slices', differing, path)} if the training is short"
        yield Issue("LS-TRN-035", message, hint, file=path, severity="warning")
    if any(model.get("trained_on") is None for model in [given, *(given.get("ancestors") or [])]):
        message = "start= does not record all of its training cases: validation and test cases may be among them"
        hint = "check that they are not, or train the start model again with this version"
        yield Issue("LS-TRN-036", message, hint, file=path, severity="warning")


def reject_other_organs(taught: Sequence[str], given: Sequence[str], path: Path) -> None:
    """Reject a start model that was taught none of the organs of this training.

    Raises:
        InputError: LS-TRN-034.
    """
    if not set(taught) & set(given):
        message = f"start= was taught {listed(keys=given)} only, but the training cases label {listed(keys=taught)}"
        hint = f"use another start=, or add training cases with labels of the {listed('or', given)}"
        raise InputError(Issue("LS-TRN-034", message, hint, file=path))


def _hint(group: str, values: Mapping[str, Any], path: Path) -> str:
    """Return what to use for a start model: these options, or the experiment of the shipped model."""
    return f"use experiment={EXPERIMENT}" if is_shipped(path) else f"use {options(group, values)}"


def options(group: str, values: Mapping[str, Any]) -> str:
    """Return keys of a group with their values as options.

    >>> options("network", {"name": "deeplab", "rates": [6, 12], "width": None})
    'network.name=deeplab network.rates=[6,12] network.width='
    """
    return " ".join(f"{group}.{key}={_shown(value)}" for key, value in values.items())


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
