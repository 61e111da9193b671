"""Pairs of CT scans and label maps by their names; what fits more than one is not paired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from liverspleen.cohort.file_names import channel_of, key_of, without_channel
from liverspleen.errors import InputError
from liverspleen.imaging.files import read_grid
from liverspleen.imaging.geometry import same_grid

if TYPE_CHECKING:
    from liverspleen.cohort.image_files import NiftiFile

Identities = Mapping["NiftiFile", frozenset[tuple[str, ...]]]


@dataclass(frozen=True)
class Pairing:
    """Label map of each CT that has one.

    `unclear` are groups of CT scans and label maps of which more than one fit each other, CT scans first. `channels`
    are CT scans that may be channels of one case of nnU-Net. Neither are paired. `unused` are label maps without a CT.
    """

    label_of: Mapping[NiftiFile, NiftiFile]
    unclear: tuple[tuple[tuple[NiftiFile, ...], tuple[NiftiFile, ...]], ...] = ()
    channels: tuple[tuple[NiftiFile, ...], ...] = ()
    unused: tuple[NiftiFile, ...] = ()


def pair(images: Sequence[NiftiFile], labels: Sequence[NiftiFile]) -> Pairing:
    """Pair CT scans and label maps; each file is in one pair at most, and the order of files has no effect.

    The first of these rules that uses every label map is applied to all files, otherwise the last one:

    1. names are equal;
    2. their keys are equal (`key_of`: without words such as `ct` and `seg`);
    3. their keys without `_0000` are equal; and the only CT in the folder of a case fits the folder, that is a label
       map that has its name or none, or the name of the folder.

    Files in folders of cases fit each other only within the folder. Two CT scans with the same key without `_0000`, of
    which one has no label map of its own, are unclear.
    """
    files = [*images, *labels]
    subsets = len({file.subset for file in images}) > 1 and any(file.subset for file in labels)
    loose = _loose(images, labels, subsets)
    for identities in (_by(str, files, subsets), _by(key_of, files, subsets)):
        found = _paired(images, labels, identities)
        if not found.unclear and not found.unused and _twins_have_labels(images, loose, found):
            break
    else:
        found = _paired(images, labels, loose)
    channels = _channels(images, found)
    several = {file for group in channels for file in group}
    label_of = {image: label for image, label in found.label_of.items() if image not in several}
    return Pairing(label_of, found.unclear, channels, found.unused)


def _by(key: Callable[[str], str], files: Iterable[NiftiFile], subsets: bool) -> Identities:
    return {file: frozenset({_identity(file, key(file.name), subsets)}) for file in files}


def _identity(file: NiftiFile, key: str, subsets: bool) -> tuple[str, ...]:
    parts = (file.subset if subsets else "", file.case, "" if key == file.case else key)
    return tuple(part for part in parts if part) or (key,)


def _loose(images: Sequence[NiftiFile], labels: Sequence[NiftiFile], subsets: bool) -> Identities:
    """The identities of rule 3: a file may have that of its name and that of its folder."""

    def key(name: str) -> str:
        return without_channel(key_of(name))

    found = {file: {_identity(file, key(file.name), subsets)} for file in (*images, *labels)}
    folders: dict[tuple[str, ...], list[NiftiFile]] = {}
    for image in images:
        if image.case:
            folders.setdefault(_identity(image, "", subsets), []).append(image)
    alone = {folder: own[0] for folder, own in folders.items() if len(own) == 1}
    for folder, image in alone.items():
        found[image].add(folder)
    for label in labels:
        only = alone.get(_identity(label, "", subsets)) if label.case else None
        if only is not None and not key(only.name):
            found[label].add(_identity(label, "", subsets))
    return {file: frozenset(own) for file, own in found.items()}


def _paired(images: Sequence[NiftiFile], labels: Sequence[NiftiFile], identities: Identities) -> Pairing:
    """Pair the files that fit each other and nothing else."""
    label_of: dict[NiftiFile, NiftiFile] = {}
    unclear: list[tuple[tuple[NiftiFile, ...], tuple[NiftiFile, ...]]] = []
    unused: list[NiftiFile] = []
    scans = set(images)
    for group in _connected([*images, *labels], identities):
        own_images = tuple(file for file in group if file in scans)
        own_labels = tuple(file for file in group if file not in scans)
        if len(own_images) == len(own_labels) == 1:
            label_of[own_images[0]] = own_labels[0]
        elif own_images and own_labels:
            unclear.append((own_images, own_labels))
        else:
            unused += own_labels
    return Pairing(label_of, tuple(unclear), unused=tuple(unused))


def _connected(files: Sequence[NiftiFile], identities: Identities) -> list[list[NiftiFile]]:
    """Return the files in groups: files that share an identity, directly or through others, are in one group."""
    of_identity: dict[tuple[str, ...], list[NiftiFile]] = {}
    for file in files:
        joined = {id(group): group for i in identities[file] if (group := of_identity.get(i))}
        own = [member for group in joined.values() for member in group]
        own.append(file)
        of_identity |= dict.fromkeys((i for member in own for i in identities[member]), own)
    order = {file: number for number, file in enumerate(files)}
    groups = {id(group): sorted(group, key=order.__getitem__) for group in of_identity.values()}
    return list(groups.values())


def _twins_have_labels(images: Sequence[NiftiFile], loose: Identities, found: Pairing) -> bool:
    groups = (group for group in _connected(images, loose) if len(group) > 1)
    return all(image in found.label_of for group in groups for image in group)


def _channels(images: Sequence[NiftiFile], found: Pairing) -> tuple[tuple[NiftiFile, ...], ...]:
    """Return CT scans on one grid whose names differ in the channel number only, one of them 0000.

    If each has its own label map, the numbers are those of cases.
    """
    groups: dict[tuple[str, str, str], list[NiftiFile]] = {}
    for image in images:
        if channel := channel_of(image.name):
            groups.setdefault((image.subset, image.case, channel[0]), []).append(image)
    return tuple(
        tuple(group)
        for group in groups.values()
        if len({channel_of(image.name) for image in group}) > 1
        and any(image.name.endswith("_0000") for image in group)
        and not all(image in found.label_of for image in group)
        and _on_one_grid(group)
    )


def _on_one_grid(files: Iterable[NiftiFile]) -> bool:
    """Return whether all headers state the same grid, or cannot be read."""
    try:
        first, *others = (read_grid(file.path) for file in files)
    except InputError:
        return True
    return all(same_grid(first, other) for other in others)
