"""Names of label maps in a folder: `<case_id>.nii.gz` or `<case_id>_dseg.nii.gz`, or with another image suffix."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from liverspleen.cohort.file_names import key_of, without_channel
from liverspleen.cohort.probability_files import is_probability_name
from liverspleen.errors import InputError, Issue
from liverspleen.imaging.files import stated_organs, strip_suffix
from liverspleen.organs import ORGAN_KEYS, Structure, organs
from liverspleen.reading import read_json
from liverspleen.records import DamagedRecordError, damaged, parsed, unsealed

PREDICT_AGAIN: Final = "move it and the label map of the case to another folder, and predict again"
"""Hint about a sidecar that cannot be used."""

DSEG: Final = "_dseg"
"""Suffix of label maps written by `liverspleen predict`, as in BIDS: a discrete segmentation."""


def label_files(folder: Path, known: Collection[str] = ()) -> dict[str, tuple[Path, ...]]:
    """Return the label maps of a folder by case, in the order of their names; usually one per case.

    Subfolders and probability maps such as `X_liver_probability.nii.gz` are not read. The case of `X_dseg.nii.gz` is
    the one that its sidecar `X_dseg.json` states; without a sidecar it is `X_dseg` if this is a `known` case, and
    otherwise `X`. The label map of a case with the id `X_dseg` is therefore `X_dseg_dseg.nii.gz`, or `X_dseg.nii.gz` if
    the cohort has this case. A file with another name, such as `segmentation-0`, is the label map of the only `known`
    case with the same key (`key_of`), such as `volume-0`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a_dseg.nii.gz").touch(); (folder / "b.nii").touch(); (folder / "notes.txt").touch()
    >>> {case: file.name for case, (file,) in label_files(folder).items()}
    {'a': 'a_dseg.nii.gz', 'b': 'b.nii'}
    >>> sorted(label_files(folder, known=["a_dseg", "img_b"]))
    ['a_dseg', 'img_b']
    """
    found: dict[str, tuple[Path, ...]] = {}
    cases, of_key = set(known), dict[str, list[str]]()
    for case_id in known:
        of_key.setdefault(_key(case_id), []).append(case_id)
    for file in sorted(folder.iterdir()):
        name = strip_suffix(file.name)
        if (
            name and not file.name.startswith(".") and not is_probability_name(name)
        ):  # unfinished files start with a dot
            case_id = _case_of(name, folder, cases)
            if case_id not in cases and len(same := of_key.get(_key(case_id), [])) == 1:
                (case_id,) = same
            found[case_id] = (*found.get(case_id, ()), file)
    return found


def stated_coverage(file: Path) -> tuple[Structure, ...] | None:
    """Return the organs that the sidecar of a label map lists as covered, or else its named segments; None: neither.

    Raises:
        InputError: LS-FMT-005 the sidecar is damaged; LS-LAB-053 the list is not one of organs.
    """
    sidecar = file.with_name(f"{strip_suffix(file.name)}.json")
    try:
        stated = unsealed(parsed(sidecar), required=False).get("covered")
    except FileNotFoundError:
        return stated_organs(file)
    except (OSError, DamagedRecordError) as error:
        raise InputError(damaged(sidecar, str(error), PREDICT_AGAIN)) from None
    if stated is None:
        return None
    if not isinstance(stated, list) or not all(key in ORGAN_KEYS for key in stated):
        message = "the sidecar of the label map lists as covered what is not an organ"
        raise InputError(Issue("LS-LAB-053", message, PREDICT_AGAIN, file=sidecar))
    return organs(stated)


def several_files(case_id: str, files: Collection[Path]) -> Issue:
    """Return the issue LS-LAB-007: a case has several label maps in a folder."""
    message = f"case has the label maps {' and '.join(file.name for file in files)}, expected one"
    return Issue("LS-LAB-007", message, "keep one of them", case_id, next(iter(files)).parent)


def _key(name: str) -> str:
    return without_channel(key_of(name))


def _case_of(name: str, folder: Path, known: Collection[str]) -> str:
    bare = name.removesuffix(DSEG)
    if not bare or bare == name:
        return name
    stated = _sidecar(folder / f"{name}.json").get("case_id")
    if stated in (name, bare):  # not a set: a value of a sidecar may be unhashable
        return str(stated)
    return name if name in known else bare


def _sidecar(file: Path) -> dict[str, Any]:
    """Return the content of a sidecar; empty if there is none."""
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
