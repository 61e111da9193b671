"""Validation of a model's description (network, window, slices, structures) before torch is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from liverspleen.cohort.composition import PHANTOM
from liverspleen.errors import InputError, Issue
from liverspleen.formats import CHECKPOINT
from liverspleen.inference.lineage import are_ancestors, are_organs, is_trained_on
from liverspleen.inference.untrusted.plain_json import bounded
from liverspleen.networks.build import network_names
from liverspleen.organs import Structure

_ENCODER = re.compile(r"[a-z][a-z0-9_]{0,63}(\.[a-z0-9_]{1,63})?")  # a timm name: no hf-hub:, no local-dir:, no path


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _is_encoder(value: Any) -> bool:
    return isinstance(value, str) and _ENCODER.fullmatch(value) is not None


def _are_rates(value: Any) -> bool:
    return isinstance(value, list | tuple) and 1 <= len(value) <= 8 and all(map(_whole(1, 128), value))


def _is_network(value: Any) -> bool:
    return isinstance(value, str) and value in network_names()


_NETWORK: Mapping[str, Callable[[Any], bool]] = {
    "name": _is_network,
    "encoder": _is_encoder,
    "output_stride": lambda value: type(value) is int and value in (4, 8, 16, 32),
    "skip_stride": lambda value: type(value) is int and value in (2, 4, 8, 16),
    "rates": _are_rates,
    "pyramid_channels": _whole(1, 2048),
    "skip_channels": _whole(1, 2048),
    "dropout": _number(0, 0.999),
    "width": _whole(1, 256),
    "deep_supervision": lambda value: isinstance(value, bool),
}
_OUTER: Mapping[str, Callable[[Any], bool]] = {
    "taught_organs": are_organs,
    "slices": lambda value: type(value) is int and value in range(1, 64, 2),
    "slice_distance_mm": lambda value: value is None or _number(1e-3, 1e3)(value),
    "pixel_mm": lambda value: value is None or _number(0.05, 50)(value),
    "trained_on": is_trained_on,
    "ancestors": are_ancestors,
}


def checked_description(description: Any, file: Path | str) -> dict[str, Any]:
    """Return the description of a checkpoint or model package if a network and its input can be built from it.

    Raises:
        InputError: LS-FMT-001 another format; LS-MOD-003 not a model of this project, or of other structures;
            LS-MOD-007 not plain values; LS-MOD-008 unknown keys or values, all in one line.
    """
    if isinstance(description, dict):
        CHECKPOINT.check(description.get("format"), file)
    expected = {organ.key: int(organ) for organ in Structure}
    if not isinstance(description, dict) or description.get("structures") != expected:
        message = f"not a liverspleen model with structures {expected}"
        raise InputError(Issue("LS-MOD-003", message, "give a model written by this version", file=file))
    bounded(description, file)
    if problems := [*_problems(description)]:
        message = f"unknown network or preprocessing: {', '.join(problems)[:300]}"
        raise InputError(Issue("LS-MOD-008", message, "give a model as liverspleen wrote it", file=file))
    return description


def _problems(description: Mapping[str, Any]) -> Iterator[str]:
    network, window = description.get("network"), description.get("window")
    if not isinstance(network, dict) or not network:
        yield "network is missing"
    else:
        # None: the network does not use this key
        yield from (f"network.{key}={value!r}"[:100] for key, value in network.items() if not _is_known(key, value))
    keys = {"lower_hu", "upper_hu", "clip"}
    if not isinstance(window, dict) or set(window) != keys or not isinstance(window["clip"], bool):
        yield "window is missing"
    elif not all(_number(-1e5, 1e5)(window[key]) for key in ("lower_hu", "upper_hu")):
        yield "window limits beyond 100 000 HU"
    elif not window["lower_hu"] < window["upper_hu"]:
        yield "window is empty"
    for key, is_valid in _OUTER.items():
        if not is_valid(value := description.get(key)):
            yield f"{key}={value!r}"[:100]


def _is_known(key: Any, value: Any) -> bool:
    return key in _NETWORK and (value is None or _NETWORK[key](value))


def is_of_phantoms_only(description: Mapping[str, Any]) -> bool:
    """Return whether all training cases were phantoms, also those of the models that this one was started from.

    It is False if an origin is not recorded.

    >>> is_of_phantoms_only({"origins": {"phantom": 16}}), is_of_phantoms_only({"origins": {"phantom": 2, "": 1}})
    (True, False)
    """
    trainings = [description, *(description.get("ancestors") or [])]
    return all(_are_phantoms(training.get("origins")) for training in trainings)


def _are_phantoms(origins: Any) -> bool:
    return isinstance(origins, Mapping) and {origin for origin, cases in origins.items() if cases} == {PHANTOM}
