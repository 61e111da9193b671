"""Random mutations of NRRD and MetaImage headers: read as SimpleITK reads them, or rejected."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from other_formats import metaimage_lines, nrrd_lines
from second_reader import difference, differing, itk_reading, outcome

from liverspleen.imaging import read_ct

pytest.importorskip("SimpleITK")

SHAPE = (7, 6, 5)
MUTATIONS = 200
TYPES = ("<i2", ">i2", "<u2", "<f4", "<i4", "u1", "<f8")
NUMBERS = ("0", "1", "-1", "2", "3", "5", "7", "1e30", "nan", "inf", "0.5", "-0.0", "100", "1e-30", "x", "")
REPLACED = {
    ".nrrd": """space: right-anterior-superior; space: LPS; space: left-anterior-superior; space: scanner-xyz;
        space: RAS; space: 3D-right-handed; endian: big; endian: little; encoding: raw; encoding: gz; encoding: hex;
        type: int8; encoding: bzip2; type: uint16; type: block; dimension: 4; kinds: list; space units: "mm" "mm" "mm";
        number: 210; space units: "cm" "cm" "cm"; spacings: 1 1 1; byte skip: 4; line skip: 1; byteskip: -1;
        data file: a.raw; centerings: node node node;
        measurement frame: (1,0,0) (0,1,0) (0,0,2); # comment; Type: uchar;
        old min: 0; space directions:=(1,0,0); sizes: 7 6 5 1""",
    ".mha": """Position = 1 2 3; Origin = 4 5 6; Orientation = 0 1 0 1 0 0 0 0 1; Rotation = -1 0 0 0 1 0 0 0 1;
        AnatomicalOrientation = LPS; ElementSize = 9 9 9; ElementNumberOfChannels = 2; HeaderSize = 4; HeaderSize = -1;
        BinaryDataByteOrderMSB = True; ElementByteOrderMSB = False; CompressedData = True; CompressedData = False;
        BinaryData = False; NDims = 2; DistanceUnits = mm; DistanceUnits = cm; ElementToIntensityFunctionSlope = 2;
        ElementType = MET_LONG; ElementType = MET_UCHAR_ARRAY; ElementType = MET_ULONG; ElementType = MET_CHAR;
        Comment = none; ElementMin = 0; Color = 1 1 1 1; ObjectType = Ellipse; CompressedDataSize = 10;
        ElementDataFile = a.raw; Modality = MET_MOD_CT""",
}
"""Lines that replace or join those of a header."""

SEPARATOR = {".nrrd": ": ", ".mha": " = "}


def base(rng: np.random.Generator, suffix: str) -> tuple[list[str], bytes]:
    """A valid header of a random kind, and its voxels as stored."""
    dtype = np.dtype(str(rng.choice(TYPES)))
    voxels = rng.integers(0 if dtype.kind == "u" else -1024, 250 if dtype.itemsize == 1 else 3000, SHAPE).astype(dtype)
    cos, sin = np.cos(angle := rng.choice([0, 0.3])), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * rng.choice([-1, 1], 3)
    lps = np.eye(4)
    lps[:3, :3] = turn[:, rng.permutation(3)] * [0.75, 0.5, 2.5]
    lps[:3, 3] = 31.5, -12.25, -300
    packed, stored = bool(rng.integers(2)), voxels.tobytes(order="F")
    if suffix == ".nrrd":
        lines = nrrd_lines(voxels, lps, encoding="gzip" if packed else "raw")
        return [*lines, ""], gzip.compress(stored) if packed else stored
    stored = zlib.compress(stored) if packed else stored
    return metaimage_lines(voxels, lps, packed=len(stored) if packed else None), stored


def mutated(rng: np.random.Generator, lines: list[str], suffix: str) -> tuple[bytes, str]:
    """The header with one change, and what was done."""
    kind, place = rng.random(), int(rng.integers(len(lines) - 1))
    if kind < 0.15:
        what = f"without {lines.pop(place)}"
    elif kind < 0.5:
        new = str(rng.choice(REPLACED[suffix].split(";"))).strip()
        name = new.partition(SEPARATOR[suffix])[0]
        same = [k for k, line in enumerate(lines) if line.startswith(name + SEPARATOR[suffix])]
        if same and rng.random() < 0.8:
            lines[same[0]] = new
        else:
            lines.insert(max(place, 1), new)
        what = f"{new} at {same or place}"
    elif kind < 0.8:
        name, separator, value = lines[place].partition(SEPARATOR[suffix])
        words = value.replace("(", "( ").replace(")", " )").replace(",", " , ").split(" ")
        numbers = [k for k, word in enumerate(words) if word.replace(".", "").replace("-", "").isdecimal()]
        if numbers:
            words[int(rng.choice(numbers))] = str(rng.choice(NUMBERS))
        lines[place] = f"{name}{separator}{' '.join(words)}".replace(" , ", ",").replace("( ", "(").replace(" )", ")")
        what = lines[place]
    else:
        text = bytearray("\n".join(lines).encode())
        changes = {int(rng.integers(len(text))): int(rng.integers(32, 127)) for _ in range(2)}
        for where, byte in changes.items():
            text[where] = byte
        return bytes(text) + b"\n", f"bytes {changes} of {lines}"
    return "\n".join([*lines, ""]).encode(), what


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.filterwarnings("ignore:invalid value|overflow:RuntimeWarning")
def test_mutated_headers_are_read_as_simpleitk_reads_them_or_rejected(tmp_path: Path, suffix: str) -> None:
    outcomes = {}
    for seed in range(MUTATIONS):
        rng = np.random.default_rng(seed)
        lines, voxels = base(rng, suffix)
        content, what = mutated(rng, lines, suffix)
        (path := tmp_path / f"ct{suffix}").write_bytes(content + voxels)
        outcomes[f"{seed}, {what}"] = outcome(lambda: read_ct(path), lambda ct: difference(ct, itk_reading(path)))
    number, different = differing(outcomes)
    assert different == []
    assert number["only ours"] <= MUTATIONS / 10
    assert number["equal"] > MUTATIONS / 5
    assert number["rejected"] > MUTATIONS / 5
