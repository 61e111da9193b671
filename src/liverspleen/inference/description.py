"""What a model says of itself: network, window, slices, structures; held against what can be meant before torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.formats import CHECKPOINT
from liverspleen.inference.untrusted.plain_json import bounded
from liverspleen.networks.build import network_names
from liverspleen.organs import Structure

PHANTOM = "phantom"
"""Origin of procedural CT, as `liverspleen phantom` writes it."""

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
}
_OUTER: Mapping[str, Callable[[Any], bool]] = {
    "slices": lambda value: type(value) is int and value in range(1, 64, 2),
    "slice_distance_mm": lambda value: value is None or _number(1e-3, 1e3)(value),
    "pixel_mm": lambda value: value is None or _number(0.05, 50)(value),
}


def checked_description(about: Any, file: Path | str) -> dict[str, Any]:
    """The plain values `about` of a checkpoint or model package, if a network can be built and fed by them.

    Raises:
        InputError: LS-FMT-001 of another format; LS-MOD-003 not of this project, or of other structures; LS-MOD-007
            not plain values; LS-MOD-008 a key or value that no network of this project has, each in the one line.
    """
    if isinstance(about, dict):
        CHECKPOINT.check(about.get("format"), file)
    wanted = {organ.key: int(organ) for organ in Structure}
    if not isinstance(about, dict) or about.get("structures") != wanted:
        message = f"no liverspleen model with structures {wanted}"
        raise InputError(Issue("LS-MOD-003", message, "give a model written by this version", file=file))
    bounded(about, file)
    if wrong := [*_wrong(about)]:
        message = f"a network or preprocessing that this project has not: {', '.join(wrong)[:300]}"
        raise InputError(Issue("LS-MOD-008", message, "give a model as liverspleen wrote it", file=file))
    return about


def _wrong(about: Mapping[str, Any]) -> Iterator[str]:
    network, window = about.get("network"), about.get("window")
    if not isinstance(network, dict) or not network:
        yield "no network"
    else:
        # an empty value is one that the network has no use for
        yield from (f"network.{key}={value!r}"[:100] for key, value in network.items() if not _is_known(key, value))
    keys = {"lower_hu", "upper_hu", "clip"}
    if not isinstance(window, dict) or set(window) != keys or not isinstance(window["clip"], bool):
        yield "no window"
    elif not all(_number(-1e5, 1e5)(window[key]) for key in ("lower_hu", "upper_hu")):
        yield "a window outside 100 000 HU"
    elif not window["lower_hu"] < window["upper_hu"]:
        yield "an empty window"
    yield from (f"{key}={about.get(key)!r}"[:100] for key, holds in _OUTER.items() if not holds(about.get(key)))


def _is_known(key: Any, value: Any) -> bool:
    return key in _NETWORK and (value is None or _NETWORK[key](value))


def is_of_phantoms_only(about: Mapping[str, Any]) -> bool:
    """Whether every case it was trained on was a phantom; False where origins are not recorded.

    >>> is_of_phantoms_only({"origins": {"phantom": 16}}), is_of_phantoms_only({"origins": {"phantom": 2, "": 1}})
    (True, False)
    """
    origins = about.get("origins")
    return isinstance(origins, Mapping) and {origin for origin, cases in origins.items() if cases} == {PHANTOM}
