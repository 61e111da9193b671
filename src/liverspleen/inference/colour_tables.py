"""Files with the names and colours of the label values for other programs, and the description of a BIDS derivative."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from liverspleen import __version__
from liverspleen.organs import ORGANS, Structure, listed
from liverspleen.storage import write_json, write_text

BIDS_VERSION: Final = "1.10.0"

SLICER, ITKSNAP = "slicer.ctbl", "itksnap.txt"


def write_colour_tables(folder: Path, organs: Sequence[Structure] = ORGANS) -> list[Path]:
    """Write `dseg.tsv` (BIDS), `slicer.ctbl` (3D Slicer), `itksnap.txt` (ITK-SNAP) and `dataset_description.json`.

    They list the organs that the label maps cover. The content depends only on these and on the version; files that
    have it already are not written again.
    """
    texts = colour_tables(organs)
    for name, text in texts.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != text.encode():
            write_text(folder / name, text)
    description = folder / "dataset_description.json"
    if not description.is_file():  # the user may have written a better one
        write_json(description, _description(organs))
    return [*(folder / name for name in texts), description]


def colour_tables(organs: Sequence[Structure] = ORGANS) -> dict[str, str]:
    """Return the texts of the three tables of names and colours by file name."""
    lines = {"dseg.tsv": _bids(organs), SLICER: _slicer(organs), ITKSNAP: _itksnap(organs)}
    return {name: "".join(f"{line}\n" for line in found) for name, found in lines.items()}


def _bids(organs: Sequence[Structure]) -> Iterator[str]:
    # BIDS derivatives, "Common image-derived labels": index, name, abbreviation, color
    yield "index\tname\tabbreviation\tcolor"
    yield "0\tBackground\tBG\t#000000"
    for organ in organs:
        yield f"{int(organ)}\t{organ.title}\t{organ.facts.abbreviation}\t{organ.facts.colour}"


def _slicer(organs: Sequence[Structure]) -> Iterator[str]:
    # vtkMRMLColorTableStorageNode: value, name, red, green, blue, opacity in 0 to 255
    yield "# Color table file for 3D Slicer, of liverspleen"
    yield "0 Background 0 0 0 0"
    for organ in organs:
        yield f"{int(organ)} {organ.title} {' '.join(map(str, _rgb(organ)))} 255"


def _itksnap(organs: Sequence[Structure]) -> Iterator[str]:
    # the header that ITK-SNAP writes; opacity in 0 to 1, visible, mesh shown
    yield "################################################"
    yield "# ITK-SnAP Label Description File"
    yield "# File format:"
    yield "# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL"
    yield "################################################"
    for index, rgb, shown, name in [
        (0, (0, 0, 0), 0, "Clear Label"),
        *((int(organ), _rgb(organ), 1, organ.title) for organ in organs),
    ]:
        red, green, blue = rgb
        yield f'{index:5d} {red:5d} {green:4d} {blue:4d} {shown:8d} {shown:2d} {shown:2d}    "{name}"'


def _rgb(organ: Structure) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(organ.facts.colour.removeprefix("#"))
    return red, green, blue


def _description(organs: Sequence[Structure]) -> dict[str, object]:
    return {
        "Name": f"Label maps of {listed(keys=[organ.key for organ in organs])}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "liverspleen", "Version": __version__, "Description": "liverspleen predict"}],
    }
