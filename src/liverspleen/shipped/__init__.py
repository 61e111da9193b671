"""The model package that is a part of liverspleen: its name, its folder, and what the name means as a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from liverspleen.errors import InputError, Issue

NAME: Final = "phantom"
"""The name that stands for the shipped model where a model is given."""

FOLDER: Final = Path(__file__).with_name(NAME)
"""The folder of the model package. No other module knows where it is."""

EXPERIMENT: Final = "finetune_phantom"
"""Experiment with the network and the input slices of the shipped model."""

_DESCRIPTIONS: Final = ("model.json", "ensemble.json")


def is_installed() -> bool:
    """Return whether this installation has the shipped model."""
    return (FOLDER / _DESCRIPTIONS[0]).is_file()


def is_shipped(path: Path) -> bool:
    """Return whether this is the path of the shipped model."""
    return path == FOLDER


def model_path(given: str | os.PathLike[str]) -> Path:
    """Return the path of a model: the folder of the shipped model for its name, and any other path as it is.

    A text with a separator, such as `./phantom`, is always a path. A `Path` drops `./`, so it needs the whole path.

    Raises:
        InputError: LS-MOD-031 the working directory has a file or a model package of this name.

    >>> model_path("run/best.ckpt").as_posix(), model_path("phantom") == FOLDER, model_path("./phantom") == FOLDER
    ('run/best.ckpt', True, False)
    """
    text = os.fspath(given)
    if text != NAME:
        # pathlib drops `./`, and with it the difference between the path and the name
        return Path.cwd() / NAME if Path(text) == Path(NAME) else Path(text)
    own = Path(NAME)
    if own.is_file() or any((own / name).exists() for name in _DESCRIPTIONS):
        message = f"{NAME!r} is the name of the shipped model, but the working directory has a model of this name"
        hint = f"write ./{NAME} to use it, or rename it to use the shipped model"
        raise InputError(Issue("LS-MOD-031", message, hint, file=own))
    return FOLDER


def reject_absent(path: Path) -> None:
    """Raise LS-MOD-030 if `path` is that of the shipped model, and this installation does not have it."""
    if is_shipped(path) and not is_installed():
        message = f"this installation has no shipped model {NAME!r}"
        hint = "give a checkpoint or model package, or install liverspleen from its wheel"
        raise InputError(Issue("LS-MOD-030", message, hint))
