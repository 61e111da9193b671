"""Probability maps in a folder: one file per case and organ, found by the name of the organ."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liverspleen.cohort.file_names import key_of, without_channel
from liverspleen.imaging.files import strip_suffix
from liverspleen.organs import ORGAN_KEYS, ORGANS, Structure

PROBABILITY: Final = "_probability"
"""Suffix of probability maps after case and organ: `A017_liver_probability.nii.gz`."""

NUMPY: Final = (".npz", ".npy")
"""Arrays without a grid, such as those of nnU-Net; they are not read."""

_ORGANS: Final = {organ.key: organ for organ in ORGANS}
_WORDS: Final = frozenset(
    {"probability", "probabilities", "prob", "probs", "probseg", "softmax", "confidence", "map", "label"}
)
_BREAKS: Final = re.compile(r"[_\-.\s]+")
_OUR_NAME: Final = re.compile(rf".+_(?:{'|'.join(ORGAN_KEYS)}){PROBABILITY}")

CaseOf = Callable[[str], str | None]


@dataclass(frozen=True)
class ProbabilityFiles:
    """Probability maps by case and organ, usually one each; `unused` belong to no known case and organ."""

    found: Mapping[str, Mapping[Structure, tuple[Path, ...]]]
    unused: tuple[Path, ...]
    arrays: tuple[Path, ...]


def is_probability_name(name: str) -> bool:
    """Return whether a file name without its suffix is that of a probability map of ours.

    >>> is_probability_name("A017_liver_probability"), is_probability_name("A017_liver")
    (True, False)
    """
    return _OUR_NAME.fullmatch(name) is not None


def probability_files(folder: Path, known: Collection[str]) -> ProbabilityFiles:
    """Return the probability maps of the `known` cases in a folder, in one of three layouts.

    - `<case_id>_liver_probability.nii.gz`: the case, then the organ, with or without words such as `prob` or `softmax`,
      also as in BIDS: `<case_id>_label-liver_probseg.nii.gz`;
    - a folder per organ: `liver/<case_id>.nii.gz`;
    - a folder per case: `<case_id>/liver.nii.gz`.

    A case can also be the only known one with the same key (`key_of`), as for label maps.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()); (folder / "spleen").mkdir()
    >>> for name in ("liver_1_liver_probability.nii.gz", "spleen/liver_1.nii.gz", "b_liver.nii.gz"):
    ...     (folder / name).touch()
    >>> files = probability_files(folder, ["liver_1"])
    >>> {organ.key: file.name for organ, (file,) in files.found["liver_1"].items()}
    {'liver': 'liver_1_liver_probability.nii.gz', 'spleen': 'liver_1.nii.gz'}
    >>> [file.name for file in files.unused]
    ['b_liver.nii.gz']
    """
    found: dict[str, dict[Structure, tuple[Path, ...]]] = {}
    unused, arrays = [], []
    for file, place in _placed(folder, _case_of(known)):
        if file.suffix.lower() in NUMPY:
            arrays.append(file)
        elif place is None:
            unused.append(file)
        else:
            case_id, organ = place
            of_case = found.setdefault(case_id, {})
            of_case[organ] = (*of_case.get(organ, ()), file)
    return ProbabilityFiles(found, tuple(unused), tuple(arrays))


def _placed(folder: Path, case_of: CaseOf) -> Iterator[tuple[Path, tuple[str, Structure] | None]]:
    """Yield the images and arrays of the folder and its folders, with case and organ if both are known."""
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir():
            if (name := _name(entry)) is not None:
                yield entry, _case_and_organ(name, case_of)
            continue
        organ, case_id = _organ(entry.name), case_of(entry.name)
        if organ is None and case_id is None:
            continue
        for file in sorted(entry.iterdir()):
            if (name := _name(file)) is not None:
                own_case = _case_before_words(name, case_of) if organ is not None else case_id
                own_organ = organ if organ is not None else _organ(name)
                both = (own_case, own_organ) if own_case is not None and own_organ is not None else None
                yield file, both or _case_and_organ(name, case_of)


def _name(file: Path) -> str | None:
    if file.name.startswith("."):  # unfinished files start with a dot
        return None
    return file.stem if file.suffix.lower() in NUMPY else strip_suffix(file.name)


def _case_of(known: Collection[str]) -> CaseOf:
    """Return the function that gives the known case of a name, exactly or as the only one with its key."""
    of_key: dict[str, list[str]] = {}
    for case_id in known:
        of_key.setdefault(without_channel(key_of(case_id)), []).append(case_id)
    exact = set(known)

    def case_of(name: str) -> str | None:
        if name in exact:
            return name
        same = of_key.get(without_channel(key_of(name)), [])
        return same[0] if len(same) == 1 else None

    return case_of


def _organ(name: str) -> Structure | None:
    """Return the organ of a name that has one organ and no other words than `_WORDS`."""
    parts = [part.lower() for part in _BREAKS.split(name) if part]
    organs = [_ORGANS[part] for part in parts if part in _ORGANS]
    return organs[0] if len(organs) == 1 and all(part in _ORGANS or part in _WORDS for part in parts) else None


def _case_and_organ(name: str, case_of: CaseOf) -> tuple[str, Structure] | None:
    """Return case and organ of `<case_id>_liver_probability`; the longest case_id counts."""
    for cut in reversed([*_BREAKS.finditer(name)]):
        organ = _organ(name[cut.end() :])
        if organ is not None and (case_id := case_of(name[: cut.start()])) is not None:
            return case_id, organ
    return None


def _case_before_words(name: str, case_of: CaseOf) -> str | None:
    """Return the case of a name in the folder of an organ, with or without words after it."""
    ends = [cut.start() for cut in reversed([*_BREAKS.finditer(name)]) if _is_end(name[cut.end() :])]
    return next((case_id for end in (len(name), *ends) if (case_id := case_of(name[:end])) is not None), None)


def _is_end(text: str) -> bool:
    return all(part.lower() in _WORDS or part.lower() in _ORGANS for part in _BREAKS.split(text) if part)
