"""The configuration and the command line as they may be recorded where paths name patients."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from liverspleen.cohort.identity import Identity
from liverspleen.config import keys


def redacted(verb: str, config: Any, identity: Identity) -> tuple[dict[str, Any], list[str]]:
    """The configuration with hashes for its paths, and the command line that gives it.

    Paths are hashed even where the identity keeps names: they lie outside the source.
    """
    paths = {key.name for key in keys(type(config)) if key.is_path}
    hidden = {
        name: identity.hashed("name", str(value)) if name in paths and value is not None else value
        for name, value in asdict(config).items()
    }
    words = [f"{name}={value}" for name, value in hidden.items() if not isinstance(value, dict) and value is not None]
    return hidden, ["liverspleen", verb, *words]
