"""Writing of an ensemble package: the model packages of its members, with one description, card and license."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from liverspleen import __version__
from liverspleen.errors import InputError, Issue
from liverspleen.formats import ENSEMBLE_PACKAGE
from liverspleen.inference.ensemble import loaded_ensemble
from liverspleen.inference.model import TrainedModel
from liverspleen.inference.model_card import ensemble_card
from liverspleen.inference.model_package import CARD, DESCRIPTION, ENSEMBLE, LICENSE, MEMBERS, ONNX
from liverspleen.inference.package_export import Package, onnx_bytes
from liverspleen.inference.package_files import (
    USE,
    described,
    hashes_of,
    license_text,
    package_bytes,
    reject_foreign,
    reject_names,
    sealed_json,
)
from liverspleen.inference.untrusted.ensemble_file import checked_members
from liverspleen.inference.untrusted.model_file import CheckedModel
from liverspleen.inference.untrusted.plain_json import parse_json
from liverspleen.networks.weights_file import safetensors_bytes
from liverspleen.output_folder import occupied
from liverspleen.storage import StrPath, complete_file

Write = Callable[[str, bytes], None]


def export_ensemble(
    members: Sequence[StrPath],
    output: StrPath,
    *,
    name: str | None = None,
    license: str | None = None,
    onnx: bool = False,
) -> Package:
    """Write an ensemble package: a folder, or an archive if `output` ends in .zip.

    A member that is a model package keeps its files, byte for byte. A checkpoint is written as by `export_model`
    without validation cases.

    Args:
        members: checkpoints of trainings, or model packages.
        output: folder, or a file that ends in .zip.
        name: name of the ensemble; None: the name of the output.
        license: SPDX identifier, also of the members that are checkpoints; None: that of the members, if all have the
            same.
        onnx: whether each member has its network as ONNX too.

    Raises:
        InputError: the issues of `load_ensemble`; LS-MOD-026 a member is an ensemble package; LS-MOD-029 `onnx`, and a
            model package has no ONNX network; or the name, license or output is not valid; as `occupied`.
    """
    target = Path(output)
    name = name or target.name.removesuffix(".zip")
    reject_names(name, license)
    reject_foreign(target, ENSEMBLE)
    found = checked_members([Path(member) for member in members])
    _reject_without_onnx(found.members if onnx else ())
    with nullcontext() if target.suffix == ".zip" else occupied(target):
        ensemble = loaded_ensemble(found)
        issues = list(ensemble.issues)
        with _writing(target) as write:
            described_members = []
            for number, (member, model) in enumerate(zip(found.members, ensemble.members, strict=True), start=1):
                title = f"{name}, member {number}"
                content = None if member.files else described(member, name=title, license=license)
                files = _files(member, model, content, issues, onnx=onnx)
                described_members.append((files[DESCRIPTION], parse_json(files[DESCRIPTION], member.path)))
                for file, data in files.items():
                    write(f"{MEMBERS}/{number}/{file}", data)
            description = _description(described_members, name, license)
            own = {CARD: ensemble_card(description).encode(), LICENSE: license_text(description["license"]).encode()}
            for file, data in own.items():
                write(file, data)
            text = sealed_json({**description, "files": hashes_of(own)})
            write(ENSEMBLE, text)
    return Package(target, hashlib.sha256(text).hexdigest(), tuple(issues))


def _reject_without_onnx(members: Sequence[CheckedModel]) -> None:
    for member in members:
        if member.files is not None and ONNX not in member.files.names:
            message = "onnx=true, but this model package has no model.onnx"
            hint = "export its checkpoint with onnx=true, or give the checkpoint"
            raise InputError(Issue("LS-MOD-029", message, hint, file=member.path))


def _files(
    member: CheckedModel, model: TrainedModel, content: dict[str, Any] | None, issues: list[Issue], *, onnx: bool
) -> dict[str, bytes]:
    """Return the files of the model package of a member, by name; `content` describes a checkpoint."""
    if member.files is not None:
        return {file: b"".join(member.files.blocks(file)) for file in (*member.files.names, DESCRIPTION)}
    assert content is not None
    network: Any = model.network
    exported = onnx_bytes(model, network, content, issues) if onnx else None
    return package_bytes(content, safetensors_bytes(network.state_dict(), member.description), exported)


def _description(members: Sequence[tuple[bytes, Mapping[str, Any]]], name: str, license: str | None) -> dict[str, Any]:
    """Return the content of ensemble.json without the hashes of its files."""
    licenses = {content["license"] for _, content in members}
    if license is not None and (other := licenses - {license}):
        stated = ", ".join(sorted(one or "not stated" for one in other))
        message = f"license={license}, but the license of a member is {stated}"
        raise InputError(Issue("LS-XPT-012", message, "remove license=, or export the checkpoints of the members"))
    return {
        "format": ENSEMBLE_PACKAGE.number,
        "name": name,
        "version": __version__,
        "license": license or (licenses.pop() if len(licenses) == 1 else None),
        "use": USE,
        "phantoms_only": any(content["phantoms_only"] for _, content in members),
        "taught_organs": members[0][1]["model"]["taught_organs"],
        "members": [
            {
                "name": content["name"],
                "sha256": hashlib.sha256(data).hexdigest(),
                "license": content["license"],
                **{key: content["model"].get(key) for key in ("network", "slices", "pixel_mm", "training", "split")},
                "postprocessing": (content.get("postprocessing") or {}).get("rules", {}),
            }
            for data, content in members
        ],
    }


@contextmanager
def _writing(output: Path) -> Iterator[Write]:
    """Yield a function that writes a file of the package; an archive gets its name when it is complete."""
    if output.suffix == ".zip":
        with complete_file(output) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            yield lambda name, data: archive.writestr(zipfile.ZipInfo(name), data)  # dated 1980: always the same bytes
        return
    draft = output / ".part-ensemble"  # a member may be in the folder that is replaced
    shutil.rmtree(draft, ignore_errors=True)

    def write(name: str, data: bytes) -> None:
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        with complete_file(draft / name) as temporary:
            temporary.write_bytes(data)

    try:
        yield write
        (output / ENSEMBLE).unlink(missing_ok=True)  # first: remains of a killed export must not look like a package
        shutil.rmtree(output / MEMBERS, ignore_errors=True)
        for name in (MEMBERS, CARD, LICENSE, ENSEMBLE):
            (draft / name).replace(output / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
