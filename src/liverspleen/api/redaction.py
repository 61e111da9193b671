"""Configuration and command line without paths, for records of runs whose paths may contain patient names."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from liverspleen.cohort.identity import Identity
from liverspleen.config import keys


def redacted(verb: str, config: Any, identity: Identity) -> tuple[dict[str, Any], list[str]]:
    """Return the configuration with hashes in place of paths, and the command line of this configuration.

    Paths are hashed also if the identity keeps names, because they are not part of the source.
    """
    paths = {key.name for key in keys(type(config)) if key.is_path}
    hidden = {
        name: _hashed(value, identity) if name in paths and value is not None else value
        for name, value in asdict(config).items()
    }
    overrides = [
        f"{name}={','.join(map(str, value)) if name in paths and isinstance(value, list) else value}"
        for name, value in hidden.items()
        if not isinstance(value, dict) and value is not None
    ]
    return hidden, ["liverspleen", verb, *overrides]


def _hashed(value: Any, identity: Identity) -> Any:
    if isinstance(value, list):
        return [_hashed(one, identity) for one in value]
    return identity.hashed("name", str(value))
