"""Image files of a folder: CT scans and label maps, directly in it, in folders such as `images`, or in case folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

from liverspleen.cohort.file_names import channel_of, folder_role, names_a_label_map, without_channel
from liverspleen.cohort.pairing import pair
from liverspleen.cohort.probability_files import is_probability_name
from liverspleen.errors import InputError
from liverspleen.imaging.files import is_named_segmentation, read_ct, strip_suffix
from liverspleen.imaging.label_map_values import looks_like_label_map

Place = Literal["top", "folder", "case"]


@dataclass(frozen=True)
class NiftiFile:
    """An image file of any format; `name` has no ending.

    `place` is `top` for a file directly in the folder, `folder` for one in a folder such as `images` or `labelsTr`, and
    `case` for one in a folder of its case. `case` is the name of that folder; `subset` is `Tr` in `imagesTr`. `role` is
    what a folder such as `images`, or the ending `.seg.nrrd`, says about the file, else empty.
    """

    path: Path
    name: str
    case: str = ""
    subset: str = ""
    role: str = ""
    place: Place = "top"

    @property
    def is_label_map(self) -> bool:
        """Whether the folder, or else the name, says that this is a label map."""
        return self.role == "label" or (not self.role and names_a_label_map(self.name))


def nifti_file(path: Path, relative: PurePath) -> NiftiFile | None:
    """Return a file by its path relative to the folder; None if it is no image file, hidden, or in deeper folders.

    Probability maps that `predict` wrote are neither CT scans nor label maps, and are None too.
    """
    name = strip_suffix(relative.name)
    if not name or is_probability_name(name) or any(part.startswith(".") for part in relative.parts):
        return None
    folders = relative.parts[:-1]
    roles = [(part, folder_role(part)) for part in folders]
    cases = [part for part, role in roles if role is None]
    said = [{said[part] for _, said in roles if said and said[part]} for part in (0, 1)]
    if len(cases) > 1 or any(len(different) > 1 for different in said):
        return None
    place: Place = "top" if not folders else "folder" if roles[0][1] else "case"
    role, subset = ("".join(one) for one in said)
    if is_named_segmentation(relative.name):
        role = "label"
    return NiftiFile(path, name, "".join(cases), subset, role, place)


def nifti_files(folder: Path) -> list[NiftiFile]:
    """Return the image files of a folder and of its subfolders for images, label maps and cases, sorted by path.

    Links to folders are not followed. A broken link to a file is included, so that it is reported when it is read.
    """
    return [file for path in _paths(folder, 3) if (file := nifti_file(path, path.relative_to(folder)))]


def _paths(folder: Path, depth: int) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield entry
        elif depth and not entry.is_symlink() and not is_output(entry):
            yield from _paths(entry, depth - 1)


def is_output(folder: Path) -> bool:
    """Return whether a folder is the output of a verb, such as label maps of an earlier `predict`."""
    return (folder / "run.json").is_file()


def in_case_folders_or_not(files: Iterable[NiftiFile]) -> list[NiftiFile]:
    """Return all files without those in folders of cases if there are other CT scans."""
    files = list(files)
    if all(file.place == "case" for file in files if not file.is_label_map):
        return files
    return [file for file in files if file.place != "case"]


def divided(files: Sequence[NiftiFile]) -> tuple[list[NiftiFile], list[NiftiFile]]:
    """Return CT scans and label maps.

    The voxels are read only where names do not decide: of a file that has the name of a label map, but no CT.
    """
    images = [file for file in files if not file.is_label_map]
    labels = [file for file in files if file.is_label_map]
    scans = {file for file in pair(images, labels).unused if not file.role and not _is_label_map(file.path)}
    if not scans:
        return images, labels
    maps = set(labels) - scans
    return [file for file in files if file not in maps], [file for file in labels if file in maps]


def _is_label_map(file: Path) -> bool:
    try:
        return looks_like_label_map(read_ct(file).hu)
    except InputError:
        return False  # it is reported as a CT that cannot be read


def case_names(images: Collection[NiftiFile]) -> dict[NiftiFile, str]:
    """Return the names of cases: that of the folder for the only CT in it, otherwise that of the file.

    A file name loses `_0000` of nnU-Net, unless numbers of this form distinguish cases. Several CT scans in the folder
    of a case are `<folder>/<file>`.
    """
    in_folder = Counter((file.subset, file.case) for file in images)
    numbered = Counter((file.subset, file.case, channel[0]) for file in images if (channel := channel_of(file.name)))
    names = {}
    for file in images:
        short = without_channel(file.name)
        name = short if numbered[file.subset, file.case, short] < 2 else file.name
        alone = file.case and in_folder[file.subset, file.case] == 1
        names[file] = file.case if alone else f"{file.case}/{name}" if file.case else name
    return names


def under(root_name: str, files: Iterable[NiftiFile]) -> list[NiftiFile]:
    """Return label maps of a folder with this name, all of which are label maps whatever their names say."""
    said = folder_role(root_name)
    subset = said[1] if said and said[0] == "label" else ""
    return [replace(file, role="label", subset=file.subset or subset) for file in files]
