"""Writing of a model package: a folder, or the same files in one .zip; the same content gives the same bytes."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liverspleen import __version__
from liverspleen.errors import InputError, Issue, one_line
from liverspleen.formats import MODEL_PACKAGE
from liverspleen.inference.description import is_of_phantoms_only
from liverspleen.inference.model_card import UNKNOWN, model_card
from liverspleen.inference.model_package import CARD, DESCRIPTION, ENSEMBLE, LICENSE, MEMBERS, ONNX, WEIGHTS
from liverspleen.inference.untrusted.model_file import CheckedModel
from liverspleen.inference.untrusted.plain_json import bounded
from liverspleen.output_folder import LOCK
from liverspleen.reading import read_text
from liverspleen.records import DamagedRecordError, damaged, read_record, sealed
from liverspleen.storage import complete_file
from liverspleen.zip_archive import UNREADABLE

USE = "research use only; not a medical device"
_NAME = re.compile(r"[^\W_][\w .,+()-]{0,99}")
_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")  # an SPDX identifier
_FILES = {DESCRIPTION: {DESCRIPTION, WEIGHTS, CARD, LICENSE, ONNX}, ENSEMBLE: {ENSEMBLE, CARD, LICENSE, MEMBERS}}
"""Files of a model package and of an ensemble package, by the one that describes it."""
_EXCLUDED_KEYS = ("cohort", "root", "split", "cache", "start", "output", "logger", "vocabulary")
"""Keys of a training's configuration that are not exported: local paths, and keys without influence on the model."""


def reject_names(name: str, license: str | None) -> None:
    """Raise LS-XPT-012 for a name or license that a model card cannot show."""
    if not _NAME.fullmatch(name):
        message = f"name={name!r} is not valid, expected at most 100 letters, digits, spaces and .,+()-"
        raise InputError(Issue("LS-XPT-012", message, "give another name="))
    if license is not None and not _LICENSE.fullmatch(license):
        message = f"license={license!r} is not an SPDX identifier"
        hint = "give an identifier such as CC-BY-4.0 (https://spdx.org/licenses)"
        raise InputError(Issue("LS-XPT-012", message, hint))


def described(found: CheckedModel, *, name: str, license: str | None) -> dict[str, Any]:
    """Return the content of model.json without validation results and hashes, from the checkpoint and its folder."""
    description = dict(found.description)
    return {
        "format": MODEL_PACKAGE.number,
        "name": name,
        "version": __version__,
        "license": license,
        "use": USE,
        "phantoms_only": is_of_phantoms_only(description),
        "model": description,
        "training": {
            "checkpoint": found.path.name,
            "checkpoint_sha256": found.sha256,
            **_recorded(found.path.parent / "run.json"),
            "metrics": _best(found.path.parent / "metrics.csv"),
        },
    }


def _recorded(file: Path) -> dict[str, Any]:
    """Return configuration and machine of the training from its run.json, without paths; None for unknown values.

    Raises:
        InputError: LS-FMT-005 run.json is damaged.
    """
    unknown = dict.fromkeys(("config", "device", "versions", "commit"))
    try:
        record = bounded(read_record(file, required=False), file)
    except DamagedRecordError as error:
        hint = "remove the file, then the model package does not state the configuration of the training"
        raise InputError(damaged(file, str(error), hint)) from None
    except (OSError, InputError):
        return unknown
    config, git = record.get("config"), record.get("git")
    if record.get("verb") != "train" or not isinstance(config, dict):
        return unknown
    exported = {key: value for key, value in config.items() if key not in _EXCLUDED_KEYS}
    if isinstance(network := exported.get("network"), dict) and network.get("weights"):
        exported["network"] = network | {"weights": Path(str(network["weights"])).name}
    return {
        "config": exported,
        "device": record.get("device"),
        "versions": record.get("versions"),
        "commit": git.get("commit") if isinstance(git, dict) else None,
    }


def _best(file: Path) -> dict[str, Any] | None:
    """Return step and scores of the best validation in a metrics.csv; None without a validation."""
    try:
        rows = list(csv.DictReader(read_text(file).splitlines()))
        scores: dict[int, dict[str, float]] = {}
        for row in rows:
            if row["metric"].startswith("val/"):
                key = row["metric"].removeprefix("val/").replace("dss_", "")
                scores.setdefault(int(row["step"]), {})[key] = float(row["value"])
        step = max(scores, key=lambda step: (scores[step]["dss"], -step))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {"step": step, "best": scores[step]}


def reject_foreign(output: Path, main: str = DESCRIPTION) -> None:
    """Raise LS-XPT-013 if `output` exists and is not a package of the kind that has the file `main`."""
    ours = _FILES[main]
    kind = "a model package" if main == DESCRIPTION else "an ensemble package"
    if output.suffix == ".zip":
        if output.exists() and main not in _names(output):
            raise _foreign(f"output= exists and is not {kind}, or a damaged one", output)
    elif output.is_file():
        raise _foreign("output= is a file, expected a folder or .zip", output)
    elif output.is_dir():
        remains = (".part-", LOCK)  # of killed exports
        if others := sorted(f.name for f in output.iterdir() if f.name not in ours and not f.name.startswith(remains)):
            raise _foreign(f"the folder has files of another kind, first {others[0]!r}", output)


def _names(archive: Path) -> list[str]:
    """Return the names in a zip archive; none if it is damaged or something else."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    except (OSError, *UNREADABLE):
        return []


def _foreign(message: str, output: Path) -> InputError:
    return InputError(Issue("LS-XPT-013", message, "choose another output=", file=output))


def write_package(output: Path, description: Mapping[str, Any], weights: bytes, onnx: bytes | None = None) -> str:
    """Write the model package as .zip if `output` ends in .zip, else as a folder; return its SHA-256."""
    files = package_bytes(description, weights, onnx)
    if output.suffix == ".zip":
        with complete_file(output) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name, data in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name), data)  # dated 1980: the same bytes on all machines
    else:
        for name in (
            DESCRIPTION,
            ONNX,
        ):  # first: remains of a killed export must not look like a package
            (output / name).unlink(missing_ok=True)
        for name, data in files.items():
            with complete_file(output / name) as temporary:
                temporary.write_bytes(data)
    return hashlib.sha256(files[DESCRIPTION]).hexdigest()


def package_bytes(description: Mapping[str, Any], weights: bytes, onnx: bytes | None = None) -> dict[str, bytes]:
    """Return the files of a model package by name, model.json last."""
    license = license_text(description["license"], description["model"].get("ancestors") or ())
    files = {WEIGHTS: weights, CARD: model_card(description).encode(), LICENSE: license.encode()}
    if onnx is not None:
        files[ONNX] = onnx
    return {**files, DESCRIPTION: sealed_json({**description, "files": hashes_of(files)})}


def hashes_of(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return SHA-256 and size of files by name, as a package states them."""
    return {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}


def sealed_json(content: Mapping[str, Any]) -> bytes:
    """Return the description of a package with its checksum, as it is written."""
    return (json.dumps(sealed(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def license_text(license: str | None, ancestors: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the content of the file LICENSE for an SPDX identifier (None: not stated), and those of start models."""
    before = "".join(
        f"\nStart model with SHA-256 {model['sha256']}: license {one_line(model.get('license') or UNKNOWN)}.\n"
        for model in ancestors
    )
    if license is None:
        return f"License: {UNKNOWN}.\n\nAsk the provider of this model for the terms of use.\n{before}"
    return (
        f"SPDX-License-Identifier: {license}\n\n"
        f"The files of this model package are licensed under {license}: https://spdx.org/licenses/{license}.html\n{before}"
    )
