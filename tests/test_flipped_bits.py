"""A flipped bit in any file of the pipeline is reported, or leaves every number and label map equal."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_files import Kind, kinds, phantom_kinds

from liverspleen.errors import InputError

SEED = 17
FINE = {"reported", "equal"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    return kinds(tmp_path_factory.mktemp("stored"))


def outcome(kind: Kind, folder: Path) -> tuple[Any, set[str]]:
    """Return what the files of a kind hold, None if they are rejected, and the codes of all issues."""
    try:
        value, issues = kind.read(folder)
    except InputError as error:
        value, issues = None, [*error.issues]
    return value, {issue.code for issue in issues}


def flip(kind: Kind, folder: Path, rng: np.random.Generator) -> None:
    """Flip one bit of one file in `folder`, or of its name."""
    file = folder / kind.files[rng.integers(len(kind.files))]
    if kind.names:
        name = bytearray(file.name.encode())
        name[rng.integers(len(name))] ^= 1 << int(rng.integers(5))  # still a name
        file.rename(file.with_name(name.decode("latin-1").replace("/", "_")))
        return
    content = bytearray(file.read_bytes())
    places = np.flatnonzero(content) if rng.integers(2) else np.arange(len(content))  # many bytes are unused zeros
    content[int(rng.choice(places))] ^= 1 << int(rng.integers(8))
    file.write_bytes(content)


def tried(kind: Kind, number: int, scratch: Path) -> Counter[str]:
    """Return how often a flipped bit was reported, changed nothing, was silent, or gave an unexpected error."""
    rng, found, folder = np.random.default_rng([SEED, *kind.name.encode()]), Counter[str](), scratch / "copy"
    shutil.copytree(kind.folder, folder)
    whole = outcome(kind, folder)
    for _ in range(number):
        shutil.rmtree(folder)
        shutil.copytree(kind.folder, folder)
        flip(kind, folder, rng)
        try:
            value, codes = outcome(kind, folder)
        except Exception as error:  # noqa: BLE001 - the pipeline would print LS-RUN-001
            found[f"unexpected {type(error).__name__}"] += 1
            continue
        found["reported" if codes - whole[1] else "equal" if (value, codes) == whole else "silent"] += 1
    shutil.rmtree(folder)
    return found


def results(known: list[Kind], number: int, scratch: Path) -> dict[str, Counter[str]]:
    return {kind.name: tried(kind, number // kind.cost, scratch) for kind in known if number >= kind.cost}


def wrong(found: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {name: dict(counts) for name, counts in found.items() if counts.keys() - FINE}


def test_a_flipped_bit_of_each_kind_is_reported_or_changes_nothing(known: list[Kind], tmp_path: Path) -> None:
    assert wrong(results(known, 2, tmp_path)) == {}


@pytest.mark.slow
def test_of_a_thousand_flipped_bits_none_is_silent(known: list[Kind], tmp_path: Path) -> None:
    found = results([*known, *phantom_kinds(tmp_path / "phantoms")], 44, tmp_path)
    assert sum(counts.total() for counts in found.values()) >= 1000
    assert wrong(found) == {}
