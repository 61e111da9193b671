"""Check the members of an ensemble without a network library: an ensemble package, or several models."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.inference.model_package import CARD, MEMBERS, PackageFiles, open_ensemble_package, open_package
from liverspleen.inference.untrusted.model_file import (
    CheckedModel,
    checked_model,
    checked_package,
    entries_of,
    is_ensemble,
)
from liverspleen.organs import listed
from liverspleen.zip_archive import Entry

_COPY_AGAIN = "copy the ensemble package again with all its files, or export it again"


@dataclass(frozen=True)
class CheckedEnsemble:
    """One model, or several models with the same organs that are averaged; `members` are in the order given.

    `sha256` identifies the content: of one model its hash, of an ensemble package that of its ensemble.json, and of
    several models the hash of their sorted hashes. `package` is the content of ensemble.json; empty without one.
    """

    members: tuple[CheckedModel, ...]
    sha256: str
    package: Mapping[str, Any]


def checked_ensemble(paths: Sequence[Path]) -> CheckedEnsemble:
    """Check one model, one ensemble package, or several models.

    Raises:
        InputError: the issues of `checked_model` for each model; LS-MOD-004 an ensemble package has other members than
            it states; LS-MOD-026 an ensemble package is a member; LS-MOD-027 one model is given twice; LS-MOD-028 the
            members were taught different organs.
    """
    if len(paths) == 1 and is_ensemble(paths[0], entries := entries_of(paths[0])):
        files, members = _of_package(paths[0], entries)
        return CheckedEnsemble(_together(members), files.sha256, files.description)
    return checked_members(paths)


def checked_members(paths: Sequence[Path]) -> CheckedEnsemble:
    """Check one model or several models; raises as `checked_ensemble`, LS-MOD-026 also for one path."""
    together = _together([_member(path) for path in paths])
    hashes = sorted(member.sha256 for member in together)
    alone = len(hashes) == 1
    return CheckedEnsemble(together, hashes[0] if alone else hashlib.sha256("\n".join(hashes).encode()).hexdigest(), {})


def _member(path: Path) -> CheckedModel:
    if is_ensemble(path, entries_of(path)):
        message = "it is an ensemble package, expected one model in a list of models"
        hint = f"give the models of its folder {MEMBERS} one by one, or only the ensemble package"
        raise InputError(Issue("LS-MOD-026", message, hint, file=path))
    return checked_model(path)


def _together(members: Sequence[CheckedModel]) -> tuple[CheckedModel, ...]:
    """Return the members if they can be averaged."""
    first: dict[str, Path] = {}
    for member in members:
        if (other := first.setdefault(identity(member), member.path)) is not member.path:
            raise same_model(other, member.path)
        if (own := member.description["taught_organs"]) != (known := members[0].description["taught_organs"]):
            message = f"it was taught {listed(keys=own)}, but {members[0].path} {listed(keys=known)}"
            raise InputError(Issue("LS-MOD-028", message, "give models of the same organs", file=member.path))
    return tuple(members)


def same_model(first: Path, second: Path) -> InputError:
    """Return LS-MOD-027: a model is given twice, and would count twice in the mean."""
    message = f"it is the same model as {first}" if first != second else "the model is given twice"
    return InputError(Issue("LS-MOD-027", message, "give each model once", file=second))


def identity(member: CheckedModel) -> str:
    """Return the hash of the checkpoint that a model was exported from, or of the checkpoint itself."""
    training = member.package.get("training")
    stated = training.get("checkpoint_sha256") if isinstance(training, Mapping) else None
    return stated if isinstance(stated, str) else member.sha256


def _of_package(path: Path, entries: Mapping[str, Entry] | None) -> tuple[PackageFiles, list[CheckedModel]]:
    """Return the files of an ensemble package, and its members, each with the hash that it states."""
    own = None if entries is None else {name: e for name, e in entries.items() if not name.startswith(f"{MEMBERS}/")}
    files = open_ensemble_package(path, own)
    files.reject_changed((CARD,))
    files.reject_markup()
    stated = files.description.get("members")
    if not isinstance(stated, list) or not stated or not all(isinstance(member, dict) for member in stated):
        raise _changed("it lists no members", path)
    members, names = [], set(entries or ()) - set(own or ())
    for number, member in enumerate(stated, start=1):
        packed = _packed(path, entries, number)
        checked = checked_package(path / MEMBERS / str(number), packed)
        if checked.sha256 != member.get("sha256"):
            raise _changed(f"member {number} does not have the hash in {files.described_in}", path)
        members.append(checked)
        names -= {f"{MEMBERS}/{number}/{name}" for name in packed.entries or ()}
    if names:
        raise _changed(f"the archive has files of no member, first {min(names)[:80]!r}", path)
    return files, members


def _packed(path: Path, entries: Mapping[str, Entry] | None, number: int) -> PackageFiles:
    """Open the package of a member, in the archive or in the folder; a folder is never a link."""
    if entries is None:
        folder = path / MEMBERS / str(number)
        for place in (folder.parent, folder):
            if not place.exists() or not stat.S_ISDIR(os.lstat(place).st_mode):
                raise _changed(f"the folder {place.relative_to(path)} is missing, or is a link", path)
        return open_package(folder)
    return open_package(path, dict(_below(entries, f"{MEMBERS}/{number}/")))


def _below(entries: Mapping[str, Entry], prefix: str) -> Iterator[tuple[str, Entry]]:
    return ((name.removeprefix(prefix), entry) for name, entry in entries.items() if name.startswith(prefix))


def _changed(message: str, path: Path) -> InputError:
    return InputError(Issue("LS-MOD-004", message, _COPY_AGAIN, file=path))
