"""A trained model out of a checkpoint: network and preprocessing together."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import nn

from liverspleen.data.window import IntensityWindow
from liverspleen.errors import Fault, Refused
from liverspleen.networks.build import build_network
from liverspleen.networks.checkpoint import BUNDLE_KEY, CHECKPOINT_FORMAT, WEIGHTS_PREFIX
from liverspleen.storage import sha256_of
from liverspleen.structures import Structure


@dataclass(frozen=True)
class TrainedModel:
    """A network in evaluation mode with the preprocessing it was trained with.

    `about` holds the checkpoint's plain values: structures, cohort and split hashes, version; `sha256` is the file's.
    Neighbours are `section_distance_mm` apart, as nearly as a CT's own spacing allows; None: next to each other.
    Sections are resampled to pixels of `pixel_mm`; None: as they are.
    """

    network: nn.Module
    window: IntensityWindow
    sections: int
    stride: int
    about: dict[str, Any]
    sha256: str
    section_distance_mm: float | None = None
    pixel_mm: float | None = None


def load_model(path: Path, device: torch.device | str = "cpu") -> TrainedModel:
    """Read a checkpoint; only tensors and plain values are taken from it, nothing in it is run.

    Raises:
        Refused: LS-MOD-001 missing, LS-MOD-002 not a checkpoint that can be read safely, LS-MOD-003 not one of this
            project, or of another format or other structures.
    """
    if not path.is_file():
        raise Refused(Fault("LS-MOD-001", "there is no such checkpoint", "give the last.ckpt of a training", file=path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of foreign files; they are refused or not
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, BadZipFile, KeyError) as error:
        # torch's own text is left out: it tells how to load the file nevertheless
        what = f"not a checkpoint that holds only weights and plain values ({type(error).__name__})"
        raise Refused(Fault("LS-MOD-002", what, "give a checkpoint written by liverspleen train", file=path)) from error
    about = checkpoint.get(BUNDLE_KEY) if isinstance(checkpoint, dict) else None
    wanted = {organ.key: int(organ) for organ in Structure}
    if not isinstance(about, dict) or about.get("format") != CHECKPOINT_FORMAT or about.get("structures") != wanted:
        what = f"no liverspleen checkpoint of format {CHECKPOINT_FORMAT} with structures {wanted}"
        raise Refused(Fault("LS-MOD-003", what, "give a checkpoint written by this version", file=path))
    sections = int(about["sections"])
    network = build_network(about["network"], sections=sections)
    network.load_state_dict({name.removeprefix(WEIGHTS_PREFIX): w for name, w in checkpoint["state_dict"].items()})
    window = IntensityWindow(**about["window"])
    return TrainedModel(
        network.eval().to(device),
        window,
        sections,
        network.output_stride,
        about,
        sha256_of(path),
        section_distance_mm=about.get("section_distance_mm"),
        pixel_mm=about.get("pixel_mm"),
    )
