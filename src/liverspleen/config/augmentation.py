"""Schema of the config group `augmentation`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from liverspleen.config.key import Key, Schema, conflict
from liverspleen.errors import Issue


def _limit(description: str, most: float) -> Key:
    return Key(description, ge=0, le=most, neutral=0.0)


def _probability(effect: str, neutral: float = 1.0) -> Key:
    return Key(f"Probability that a sample gets {effect}.", ge=0, le=1, neutral=neutral)


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig(Schema):
    """Random changes of training samples, sampled uniformly up to their limits or in their ranges; 0 or empty: none."""

    rotation_deg: Annotated[float, Key("Largest rotation in the plane in degrees, to either side.", ge=0, le=180)]
    scale: Annotated[float, Key("Largest change of scale, as a fraction, up or down.", ge=0, lt=1)]
    shift: Annotated[float, Key("Largest shift, as a fraction of the side of the image.", ge=0, le=1)]
    gain: Annotated[float, Key("Largest change of contrast, as a fraction.", ge=0, le=1)]
    offset: Annotated[
        float, Key("Largest change of brightness, as a fraction of the width of the window.", ge=0, le=10)
    ]
    noise: Annotated[
        float,
        Key("Largest standard deviation of Gaussian noise, as a fraction of the width of the window.", ge=0, le=10),
    ]
    blur_px: Annotated[
        float,
        Key("Largest standard deviation of a Gaussian blur in the plane, in pixels.", ge=0, le=100),
    ]
    thickness: Annotated[
        float,
        Key(
            "Largest increase of slice thickness, as a fraction; each slice becomes a mean of itself and its "
            "neighbours.",
            ge=0,
            le=2,
        ),
    ]
    elastic: Annotated[
        float, _limit("Largest displacement by elastic deformation, as a fraction of the side of the image.", 0.06)
    ] = 0.0
    kernel: Annotated[
        float,
        _limit("Largest change of high frequencies, as a fraction: a sharper or smoother reconstruction kernel.", 1),
    ] = 0.0
    contrast: Annotated[
        float,
        _limit("Largest change of differences from the mean of the sample, as a fraction; clipped to its range.", 1),
    ] = 0.0
    low_resolution: Annotated[
        float, _limit("Largest decrease of the number of pixels per side, as a fraction; interpolated back.", 0.9)
    ] = 0.0
    erase: Annotated[
        float, _limit("Largest erased rectangle, as a fraction of the area of the image; labels stay.", 1)
    ] = 0.0
    scale_range: Annotated[
        list[float] | None,
        Key(
            "Lowest and highest scale, in place of scale; above 1 the organs become smaller.",
            ge=0.1,
            le=10,
            neutral=None,
        ),
    ] = None
    blur_range_px: Annotated[
        list[float] | None,
        Key(
            "Lowest and highest standard deviation of the blur in pixels, in place of blur_px.",
            ge=0,
            le=100,
            neutral=None,
        ),
    ] = None
    gamma_range: Annotated[
        list[float] | None,
        Key(
            "Lowest and highest exponent of the intensity; mean and standard deviation of the sample stay.",
            ge=0.1,
            le=10,
            neutral=None,
        ),
    ] = None
    rotation_probability: Annotated[float, _probability("a rotation")] = 1.0
    scale_probability: Annotated[float, _probability("another scale")] = 1.0
    elastic_probability: Annotated[float, _probability("an elastic deformation")] = 1.0
    blur_probability: Annotated[float, _probability("a blur")] = 1.0
    kernel_probability: Annotated[float, _probability("another kernel")] = 1.0
    gain_probability: Annotated[float, _probability("another gain")] = 1.0
    contrast_probability: Annotated[float, _probability("another contrast")] = 1.0
    low_resolution_probability: Annotated[float, _probability("a lower resolution")] = 1.0
    gamma_probability: Annotated[float, _probability("an exponent")] = 1.0
    gamma_inverted_probability: Annotated[float, _probability("an exponent of its inverted intensity", 0.0)] = 0.0
    noise_probability: Annotated[float, _probability("noise")] = 1.0
    erase_probability: Annotated[float, _probability("an erased rectangle")] = 1.0

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue for what is no range, for two limits of one effect, and for a probability without effect."""
        yield from self._ranges()
        for name, other in (("scale", "scale_range"), ("blur_px", "blur_range_px")):
            if getattr(self, name) and getattr(self, other) is not None:
                message = f"augmentation.{name}= and augmentation.{other}= are both set"
                yield conflict(message, f"set augmentation.{name}=0, or augmentation.{other}=null")
        for effect, names in _STRENGTHS.items():
            probability = getattr(self, f"{effect}_probability")
            idle = not any(getattr(self, name) for name in names)
            if idle and ((probability and effect == "gamma_inverted") or 0 < probability < 1):
                first, found = f"augmentation.{names[0]}", f"augmentation.{effect}_probability"
                value = "=[0.7,1.5]" if names[0] == "gamma_range" else "= above 0"
                message = f"{found}={probability:g} has no effect without {first}="
                yield conflict(message, f"set {first}{value}, or {found}=0")

    def _ranges(self) -> Iterator[Issue]:
        """Yield an issue for a range that is not a lowest and a highest number."""
        for name, example in (("scale_range", "[0.7,1.4]"), ("blur_range_px", "[0.5,1]"), ("gamma_range", "[0.7,1.5]")):
            limits, around = getattr(self, name), name == "gamma_range"
            if limits is None:
                continue
            if len(limits) != 2 or limits[0] > limits[1] or (around and not limits[0] <= 1 <= limits[1]):
                message = f"augmentation.{name}=[{','.join(f'{limit:g}' for limit in limits)}] is not a range"
                more = ", the first up to 1 and the second from 1" if around else ""
                yield conflict(message, f"use the lowest and the highest number{more}, such as {example}")


_STRENGTHS: Final = {
    "rotation": ("rotation_deg",),
    "scale": ("scale", "scale_range"),
    "blur": ("blur_px", "blur_range_px"),
    "gamma": ("gamma_range",),
    "gamma_inverted": ("gamma_range",),
    **{name: (name,) for name in ("elastic", "kernel", "gain", "contrast", "low_resolution", "noise", "erase")},
}
"""Limits and ranges of each effect with a probability."""
