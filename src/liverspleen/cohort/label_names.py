"""Which case a label map in a folder is of: `<case_id>.nii.gz`, `<case_id>.nii` or `<case_id>_dseg.nii.gz`."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from liverspleen.errors import Issue
from liverspleen.imaging.nifti import strip_suffix

DSEG: Final = "_dseg"
"""How the names of the label maps that `liverspleen predict` writes end, as in BIDS: a discrete segmentation."""


def label_files(folder: Path, known: Collection[str] = ()) -> dict[str, tuple[Path, ...]]:
    """The label maps that lie in the folder itself by case, in the order of their names; usually one each.

    `X_dseg.nii.gz` is of the case that its sidecar `X_dseg.json` states, where there is one; else of the case `X_dseg`
    if that is among the `known` ones; else of `X`. So a case that is really called `X_dseg` has its label map in
    `X_dseg_dseg.nii.gz`, or in `X_dseg.nii.gz` where the cohort knows it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a_dseg.nii.gz").touch(); (folder / "b.nii").touch(); (folder / "notes.txt").touch()
    >>> {case: file.name for case, (file,) in label_files(folder).items()}
    {'a': 'a_dseg.nii.gz', 'b': 'b.nii'}
    >>> sorted(label_files(folder, known=["a_dseg"]))
    ['a_dseg', 'b']
    """
    found: dict[str, tuple[Path, ...]] = {}
    for file in sorted(folder.iterdir()):
        name = strip_suffix(file.name)
        if name and not file.name.startswith("."):  # unfinished files start with a dot
            case_id = _case_of(name, folder, known)
            found[case_id] = (*found.get(case_id, ()), file)
    return found


def several_files(case_id: str, files: Collection[Path]) -> Issue:
    """That a case has more than one label map in a folder: LS-LAB-007."""
    message = f"there are {' and '.join(file.name for file in files)}"
    return Issue("LS-LAB-007", message, "keep one of them", case_id, next(iter(files)).parent)


def _case_of(name: str, folder: Path, known: Collection[str]) -> str:
    bare = name.removesuffix(DSEG)
    if not bare or bare == name:
        return name
    stated = _stated(folder / f"{name}.json")
    if stated in (name, bare):  # no set: anything may stand in a sidecar
        return str(stated)
    return name if name in known else bare


def _stated(sidecar: Path) -> object:
    """The `case_id` in a sidecar; None without one."""
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content.get("case_id") if isinstance(content, dict) else None
