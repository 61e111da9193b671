"""NRRD and MetaImage files for tests, written by hand from the descriptions of the formats."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NRRD = {
    **{"int16": "short", "uint8": "uchar", "float32": "float", "uint16": "ushort"},
    **{"int32": "int", "float64": "double"},
}
_META = {
    **{"int16": "MET_SHORT", "uint8": "MET_UCHAR", "float32": "MET_FLOAT", "uint16": "MET_USHORT"},
    **{"int32": "MET_INT", "float64": "MET_DOUBLE"},
}


def nrrd_lines(array: NDArray[Any], lps: NDArray[np.float64], *, encoding: str = "gzip") -> list[str]:
    """Header of a 3D array, or of a 4D array whose first axis is that of the layers."""
    layered = array.ndim == 4
    steps = ["({:.17g},{:.17g},{:.17g})".format(*lps[:3, k]) for k in range(3)]
    return [
        "NRRD0004",
        f"type: {_NRRD[array.dtype.name]}",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {'none ' if layered else ''}{' '.join(steps)}",
        f"kinds: {'list ' if layered else ''}domain domain domain",
        f"endian: {'big' if array.dtype.byteorder == '>' else 'little'}",
        f"encoding: {encoding}",
        "space origin: ({:.17g},{:.17g},{:.17g})".format(*lps[:3, 3]),
    ]


def write_nrrd(
    path: Path, array: NDArray[Any], lps: NDArray[np.float64], *, keys: Mapping[str, object] | None = None
) -> Path:
    lines = [*nrrd_lines(array, lps), *(f"{key}:={value}" for key, value in (keys or {}).items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join([*lines, "", ""]).encode() + gzip.compress(array.tobytes(order="F"), mtime=0))
    return path


def segments(*named: tuple[str, int, int]) -> dict[str, object]:
    """Keys of 3D Slicer for segments of name, label value and layer."""
    return {
        f"Segment{number}_{key}": cell
        for number, (name, value, layer) in enumerate(named)
        for key, cell in {"ID": f"Segment_{number}", "Name": name, "LabelValue": value, "Layer": layer}.items()
    }


def metaimage_lines(
    array: NDArray[Any], lps: NDArray[np.float64], *, data: str = "LOCAL", packed: int | None = None
) -> list[str]:
    """Header of a 3D array; `packed` is the number of bytes of compressed voxels."""
    size = np.linalg.norm(lps[:3, :3], axis=0)
    return [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {array.dtype.byteorder == '>'}",
        f"CompressedData = {packed is not None}",
        *([] if packed is None else [f"CompressedDataSize = {packed}"]),
        "TransformMatrix = " + " ".join(f"{v:.17g}" for v in (lps[:3, :3] / size).T.ravel()),
        "Offset = {:.17g} {:.17g} {:.17g}".format(*lps[:3, 3]),
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        "ElementSpacing = {:.17g} {:.17g} {:.17g}".format(*size),
        "DimSize = {} {} {}".format(*array.shape),
        f"ElementType = {_META[array.dtype.name]}",
        f"ElementDataFile = {data}",
    ]


def write_metaimage(
    path: Path, array: NDArray[Any], lps: NDArray[np.float64], *, data: str = "LOCAL", packed: bool = False
) -> Path:
    voxels = array.tobytes(order="F")
    voxels = zlib.compress(voxels) if packed else voxels
    lines = metaimage_lines(array, lps, data=data, packed=len(voxels) if packed else None)
    head = "\n".join([*lines, ""]).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + (voxels if data == "LOCAL" else b""))
    if data != "LOCAL":
        path.with_name(data).write_bytes(voxels)
    return path
