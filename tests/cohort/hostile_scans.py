"""Files built to fill memory or time, or to write elsewhere; and a process that opens them and measures itself.

Run as a script, it opens each folder given, every one in a process of its own, and tells as JSON what came of it.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import stat
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

HANG_S = 400  # wall time, also on a busy machine; `seconds` are processor time
BUILDERS: dict[str, tuple[Callable[[Path], None], str]] = {}
"""Function that writes the hostile scan into a folder, and the expected code ("" for none), by name."""


def expected(code: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    def register(build: Callable[[Path], None]) -> Callable[[Path], None]:
        BUILDERS[build.__name__] = build, code
        return build

    return register


# NIfTI


def header(kind: type = Nifti1Header, **fields: object) -> bytes:
    """A valid header of 4 x 4 x 4 voxels of int16 with changed fields, without checks."""
    header = kind()
    header.set_data_shape((4, 4, 4))
    header.set_data_dtype(np.int16)
    header.set_zooms((2, 2, 2))
    header.set_sform(np.diag([2.0, 2, 2, 1]), 1)
    header["magic"], header["vox_offset"] = header.single_magic, header.single_vox_offset
    for name, value in fields.items():
        header[name] = value
    return bytes(header.binaryblock) + bytes(4)


VOXELS = bytes(4 * 4 * 4 * 2)
ZEROS = gzip.compress(bytes(1 << 26), 9)  # a member of 64 MiB in 65 kB; members may follow each other


@expected("LS-IMG-004")
def header_of_70_terabytes(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]) + VOXELS)


@expected("LS-IMG-004")
def header_of_70_terabytes_compressed(folder: Path) -> None:
    whole = header(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]) + VOXELS
    (folder / "bad.nii.gz").write_bytes(gzip.compress(whole))


@expected("LS-IMG-004")
def header_of_more_bytes_than_there_are_numbers(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(Nifti2Header, dim=[3, *3 * [1 << 62], 1, 1, 1, 1]) + VOXELS)


@expected("LS-IMG-006")
def negative_dimensions(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(dim=[3, -4, -4, 4, 1, 1, 1, 1]) + VOXELS)


@expected("LS-IMG-003")
def negative_number_of_dimensions(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(dim=[-32768, 4, 4, 4, 1, 1, 1, 1]) + VOXELS)


@expected("LS-IMG-004")
def voxels_beyond_the_file(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(vox_offset=3e9) + VOXELS)


@expected("LS-IMG-003")
def voxels_nowhere(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(vox_offset=np.inf) + VOXELS)


@expected("LS-IMG-003")
def voxels_before_the_file(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(vox_offset=-1e30) + VOXELS)


@expected("LS-GEO-002")
def affine_beyond_numbers(folder: Path) -> None:
    (folder / "bad.nii").write_bytes(header(Nifti2Header, srow_x=[1e300] * 4, srow_y=[-1e300] * 4) + VOXELS)


@expected("LS-IMG-008")
def scaling_beyond_numbers(folder: Path) -> None:
    voxels = np.full(64, 30000, np.int16).tobytes()
    (folder / "bad.nii").write_bytes(header(Nifti2Header, scl_slope=1e307) + voxels)


@expected("")
def extensions_that_lie_about_their_size(folder: Path) -> None:
    extension = b"\1\0\0\0" + struct.pack("<ii", 2**31 - 16, 6) + struct.pack("<ii", -16, 6)
    (folder / "bad.nii").write_bytes(header(vox_offset=384)[:-4] + extension.ljust(384 - 348, b"\0") + VOXELS)


@expected("LS-IMG-030")
def gigabytes_of_zeros_behind_the_voxels(folder: Path) -> None:
    (folder / "bad.nii.gz").write_bytes(gzip.compress(header() + VOXELS) + ZEROS * 400)  # 25 GiB


@expected("LS-IMG-030")
def gigabytes_of_zeros_as_voxels(folder: Path) -> None:
    whole = gzip.compress(header(dim=[3, 2048, 2048, 2048, 1, 1, 1, 1])) + ZEROS * 257
    (folder / "bad.nii.gz").write_bytes(whole)  # 16 GiB, as its header says


@expected("LS-IMG-032")
def a_terabyte_without_a_block_on_the_disk(folder: Path) -> None:
    with (folder / "bad.nii").open("wb") as file:
        file.write(header(dim=[3, 32767, 32767, 512, 1, 1, 1, 1]))
        file.truncate(1 << 41)


@expected("LS-IMG-005")
def no_image_at_all(folder: Path) -> None:
    (folder / "bad.nii.gz").write_bytes(b"\x1f\x8b" + bytes(range(256)) * 9)


# other entries of a folder


@expected("LS-IMG-002")
def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "bad.nii.gz")


@expected("LS-IMG-002")
def a_device(folder: Path) -> None:
    (folder / "bad.nii").symlink_to("/dev/zero")


@expected("LS-IMG-002")
def a_link_to_itself(folder: Path) -> None:
    (folder / "bad.nii").symlink_to(folder / "bad.nii")


@expected("LS-COH-040")
def links_in_a_loop_pipes_and_devices_among_dicom(folder: Path) -> None:
    place = folder / "dicom"
    place.mkdir()
    (place / "loop").symlink_to(folder)
    (place / "root").symlink_to("/")
    (place / "self").symlink_to(place / "self")
    (place / "zero").symlink_to("/dev/zero")
    os.mkfifo(place / "pipe.dcm")


@expected("LS-SCN-010")
def a_name_of_several_lines(folder: Path) -> None:
    (folder / "bad\nLS-RUN-001: all is well\x1b[2J.nii").write_bytes(header() + VOXELS)


@expected("LS-SCN-010")
def a_name_that_is_no_text(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff\xfe.nii")).write_bytes(header() + VOXELS)


# DICOM


def slice_index(folder: Path, change: Callable[[pydicom.Dataset], None] = lambda dataset: None, count: int = 2) -> None:
    """A series of changed slices of 32 x 32 pixels."""
    from source_files import box_exam

    from liverspleen.imaging.dicom import write_series

    for file in write_series(folder / "bad", box_exam("x", slices=count).ct, tags={"PatientID": "P"}):
        dataset = pydicom.dcmread(file)
        change(dataset)
        dataset.save_as(file)


def planted(folder: Path, tag: bytes) -> None:
    """A CT slice with the bytes before its group 0009."""
    slice_index(folder, count=1)
    (file,) = (folder / "bad").iterdir()
    whole = file.read_bytes()
    at = whole.index(b"\x10\x00\x10\x00PN")  # PatientName, the first of group 0010
    file.write_bytes(whole[:at] + tag + whole[at:])


UNDEFINED = b"\xff\xff\xff\xff"
ITEM = b"\xfe\xff\x00\xe0"


@expected("LS-DCM-001")
def sequences_nested_5000_deep(folder: Path) -> None:
    planted(folder, 5000 * (b"\x09\x00\x10\x10SQ\0\0" + UNDEFINED + ITEM + UNDEFINED))


@expected("LS-DCM-001")
def an_element_without_an_end(folder: Path) -> None:
    planted(folder, b"\x09\x00\x10\x10OB\0\0" + UNDEFINED)


@expected("LS-DCM-007")
def an_element_of_4_gigabytes(folder: Path) -> None:
    planted(folder, b"\x09\x00\x10\x10OB\0\0\xfe\xff\xff\xff")


@expected("LS-DCM-007")
def an_identity_of_4_gigabytes(folder: Path) -> None:
    planted(folder, b"\x10\x00\x20\x00UT\0\0\xfe\xff\xff\xff")


@expected("LS-DCM-031")
def pixels_of_4_gigabytes(folder: Path) -> None:
    slice_index(folder)
    for file in (folder / "bad").iterdir():
        whole = file.read_bytes()
        at = whole.index(b"\xe0\x7f\x10\x00OW") + 8
        file.write_bytes(whole[:at] + b"\xfe\xff\xff\xff" + whole[at + 4 : -100])


@expected("LS-DCM-007")
def a_matrix_of_65535(folder: Path) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        dataset.Rows = dataset.Columns = 65535

    slice_index(folder, change)


@expected("LS-DCM-005")
def two_billion_frames(folder: Path) -> None:
    slice_index(folder, lambda dataset: setattr(dataset, "NumberOfFrames", 2**31 - 1))


def compressed(folder: Path, syntax: str, frame: bytes, **fields: int) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = pydicom.encaps.encapsulate([frame])
        dataset["PixelData"].is_undefined_length = True
        for name, value in fields.items():
            setattr(dataset, name, value)

    slice_index(folder, change)


def encoded(syntax: str) -> bytes:
    """A valid frame of 32 x 32 pixels."""
    from source_files import box_exam

    from liverspleen.imaging.dicom import write_series

    with tempfile.TemporaryDirectory() as folder:
        first, *_ = write_series(Path(folder), box_exam("x").ct, transfer_syntax=syntax)
        return pydicom.encaps.get_frame(pydicom.dcmread(first).PixelData, 0, number_of_frames=1)


def jpeg_2000(columns: int, rows: int, *, tile: int = 0, components: int = 1) -> bytes:
    """A valid codestream with this size in its header (ISO 15444-1, A.5.1)."""
    sound = encoded(pydicom.uid.JPEG2000Lossless)
    assert sound[:4] == b"\xff\x4f\xff\x51"
    (length,) = struct.unpack(">H", sound[4:6])
    size = struct.pack(">HLLLLLLLLH", 0, columns, rows, 0, 0, tile or columns, tile or rows, 0, 0, components)
    size += components * sound[42:45]
    return sound[:4] + struct.pack(">H", len(size) + 2) + size + sound[4 + length :]


def jpeg_ls(columns: int, rows: int) -> bytes:
    """A valid codestream with this size in its frame header (ITU T.87, C.2.2)."""
    sound = encoded(pydicom.uid.JPEGLSLossless)
    at = sound.index(b"\xff\xf7") + 5
    return sound[:at] + struct.pack(">HH", rows, columns) + sound[at + 4 :]


@expected("LS-DCM-031")
def jpeg_2000_of_60000(folder: Path) -> None:
    compressed(folder, pydicom.uid.JPEG2000Lossless, jpeg_2000(60000, 60000))


@expected("LS-DCM-031")
def jpeg_2000_in_boxes_behind_a_decoy(folder: Path) -> None:
    decoy = jpeg_2000(32, 32)
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">L4s", len(decoy) + 8, b"free") + decoy
    large = jpeg_2000(60000, 60000)
    compressed(folder, pydicom.uid.JPEG2000Lossless, boxes + struct.pack(">L4s", len(large) + 8, b"jp2c") + large)


@expected("LS-DCM-031")
def jpeg_2000_of_a_thousand_tiles_and_components(folder: Path) -> None:
    compressed(folder, pydicom.uid.JPEG2000Lossless, jpeg_2000(32, 32, tile=1, components=16384))


@expected("LS-DCM-007")
def jpeg_2000_of_60000_as_its_header_says(folder: Path) -> None:
    compressed(folder, pydicom.uid.JPEG2000Lossless, jpeg_2000(60000, 60000), Rows=60000, Columns=60000)


@expected("LS-DCM-031")
def jpeg_ls_of_60000(folder: Path) -> None:
    compressed(folder, pydicom.uid.JPEGLSLossless, jpeg_ls(60000, 60000))


@expected("")
def jpeg_2000_of_4096_with_few_pixels(folder: Path) -> None:
    compressed(folder, pydicom.uid.JPEG2000Lossless, jpeg_2000(4096, 4096), Rows=4096, Columns=4096)


@expected("LS-DCM-031")
def jpeg_ls_of_4096_with_few_pixels(folder: Path) -> None:
    compressed(folder, pydicom.uid.JPEGLSLossless, jpeg_ls(4096, 4096), Rows=4096, Columns=4096)


@expected("LS-DCM-031")
def runs_of_a_hundred_megabytes(folder: Path) -> None:
    segments = struct.pack("<16L", 2, 64, 1 << 20, *[0] * 13)
    compressed(folder, pydicom.uid.RLELossless, segments + b"\x81\0" * (1 << 20))


@expected("LS-DCM-001")
def deflated_gigabytes(folder: Path) -> None:
    slice_index(folder, count=1)
    (file,) = (folder / "bad").iterdir()
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(file)
    start = 128 + 4 + 12 + pydicom.filereader.read_file_meta_info(file).FileMetaInformationGroupLength
    whole = file.read_bytes()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [
        packer.compress(zlib.decompress(whole[start:], -15)),
        *(packer.compress(bytes(1 << 24)) for _ in range(32)),
    ]
    file.write_bytes(whole[:start] + b"".join(parts) + packer.flush())  # half a gigabyte


# zip archives


def archive(folder: Path, *entries: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(folder / "bad.zip", "w", method) as opened:
        for name, content in entries:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            info.compress_type = method
            opened.writestr(info, content)
    return folder / "bad.zip"


SCAN = header() + VOXELS


@expected("LS-SCN-002")
def entry_above_the_root(folder: Path) -> None:
    archive(folder, ("good.nii", SCAN), ("../../canary/evil.nii", SCAN))


@expected("LS-SCN-002")
def entry_above_the_root_in_windows_words(folder: Path) -> None:
    archive(folder, ("x\\..\\..\\..\\evil.nii", SCAN))


@expected("LS-SCN-002")
def entry_with_an_absolute_name(folder: Path) -> None:
    archive(folder, (str(folder.parent / "canary" / "evil.nii"), SCAN))


@expected("LS-SCN-002")
def entry_on_a_drive(folder: Path) -> None:
    archive(folder, ("C:\\evil.nii", SCAN))


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (mode | 0o644) << 16
    return info


@expected("LS-SCN-003")
def entry_that_is_a_link(folder: Path) -> None:
    archive(folder, (special("way", stat.S_IFLNK), str(folder.parent / "canary").encode()), ("way/evil.nii", SCAN))


@expected("LS-SCN-003")
def entry_that_is_a_device(folder: Path) -> None:
    archive(folder, (special("bad.nii", stat.S_IFCHR), b""))


@expected("LS-SCN-004")
def entry_that_is_encrypted(folder: Path) -> None:
    whole = bytearray(archive(folder, ("bad.nii", SCAN)).read_bytes())
    whole[6] |= 1
    whole[whole.index(b"PK\1\2") + 8] |= 1
    (folder / "bad.zip").write_bytes(whole)


@expected("LS-SCN-005")
def entry_of_gigabytes_of_zeros(folder: Path) -> None:
    with (
        zipfile.ZipFile(folder / "bad.zip", "w", zipfile.ZIP_DEFLATED) as opened,
        opened.open("bad.nii", "w") as entry,
    ):
        entry.write(header(dim=[3, 1024, 1024, 256, 1, 1, 1, 1]))
        for _ in range(33):
            entry.write(bytes(1 << 24))


@expected("LS-SCN-005")
def entries_that_share_their_bytes(folder: Path) -> None:
    """Archive as by Fifield (A better zip bomb, 2019): a list of many entries at the same offset."""
    whole = archive(folder, ("bad0000.nii", bytes(1 << 22))).read_bytes()
    at, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    listed = b"".join(whole[at:end].replace(b"bad0000", b"bad%04d" % n) for n in range(5000))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 5000, 5000, len(listed), at, 0)
    (folder / "bad.zip").write_bytes(whole[:at] + listed + tail)


@expected("LS-SCN-005")
def list_of_a_million_entries(folder: Path) -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    listed = entry * 1_000_000
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1_000_000, 1_000_000, len(listed), 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(listed), 1)
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)  # states one entry, the record before it a million
    (folder / "bad.zip").write_bytes(listed + large + locator + tail)


@expected("LS-SCN-006")
def entry_with_a_dictionary_of_gigabytes(folder: Path) -> None:
    archive(folder, ("bad.nii", SCAN), method=zipfile.ZIP_LZMA)


@expected("LS-SCN-001")
def archive_that_is_cut(folder: Path) -> None:
    whole = archive(folder, ("bad.nii", SCAN)).read_bytes()
    (folder / "bad.zip").write_bytes(whole[:-30])


@expected("LS-SCN-001")
def entry_with_a_wrong_checksum(folder: Path) -> None:
    whole = archive(folder, ("bad.nii", SCAN), method=zipfile.ZIP_STORED).read_bytes()
    (folder / "bad.zip").write_bytes(whole.replace(SCAN, SCAN[:-1] + b"\1"))


@expected("LS-SCN-010")
def entry_of_several_lines(folder: Path) -> None:
    archive(folder, ("bad\nLS-RUN-001: all is well\x1b[2J.nii", SCAN))


@expected("LS-IMG-030")
def entry_that_is_a_bomb_itself(folder: Path) -> None:
    archive(folder, ("bad.nii.gz", gzip.compress(SCAN) + ZEROS * 100), method=zipfile.ZIP_STORED)


# the process that opens the scans


def opened(folder: Path) -> dict[str, object]:
    """Return whether the valid scan of a folder is read, and the lines about the others."""
    from liverspleen.cohort.scans import open_scans
    from liverspleen.errors import InputError

    lines, good = [], 0
    with open_scans(folder) as scans:
        lines += [str(issue) for issue in scans.issues if issue.severity != "note"]
        for scan in scans.cases:
            try:
                good += scan.read().hu.shape == (6, 32, 32)
            except InputError as error:
                lines += [str(issue) for issue in error.issues]
    return {"good": good, "lines": lines}


def main(folders: list[str]) -> None:
    import liverspleen.cohort.scans  # noqa: F401 - before the processes part, so that the time is that of the work

    for folder in folders:
        if (child := os.fork()) == 0:
            signal.alarm(HANG_S)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            start = time.process_time()
            result = opened(Path(folder)) | {"folder": folder, "seconds": time.process_time() - start}
            status = Path("/proc/self/status").read_text()
            result["peak_mb"] = int(status.split("VmHWM:")[1].split()[0]) / 1024
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
