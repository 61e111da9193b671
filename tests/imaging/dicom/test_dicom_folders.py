"""Folder trees with other files, damaged files, decompression bombs, links and deep folders."""

import inspect
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from dicom_stacks import change, codes, made, messages, only, write

from liverspleen.imaging.dicom import count_skipped_links, find_segmentations, find_series, read_series, write_series
from liverspleen.imaging.dicom.write import IMPLICIT


def test_files_that_are_not_dicom_are_skipped(tmp_path):
    write(tmp_path)
    for name, content in {
        "empty.dcm": b"",
        "short.dcm": b"DICM",
        "notes.txt": b"words " * 100,
        "zeros.bin": bytes(5000),
        "scan.nii": struct.pack("<i", 348) + bytes(600),
        "like.dcm": b"\x08\0\x05\0" + bytes(300),
        ".hidden.dcm": b"\0" * 128 + b"DICM broken",
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/a.dcm").write_bytes(bytes(128) + b"DICM broken")
    assert only(tmp_path).exclusions == ()


def test_dicomdir_is_skipped(tmp_path):
    files = write(tmp_path)
    directory = pydicom.dcmread(files[0])
    directory.SOPClassUID = directory.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    directory.save_as(tmp_path / "DICOMDIR")
    assert only(tmp_path).slices == 8


def test_root_that_is_not_a_folder_is_an_entry(tmp_path):
    for root in (tmp_path / "nothing", write(tmp_path)[0]):
        assert codes(only(root)) == ["LS-DCM-001"]


def test_folder_without_dicom_has_no_series(tmp_path):
    assert find_series(tmp_path) == ()
    assert find_segmentations(tmp_path) == ()


def test_file_without_preamble_is_read(tmp_path):
    ct = made()
    for file in write(tmp_path, ct):
        file.write_bytes(file.read_bytes()[132:])
    series = only(tmp_path)
    assert series.exclusions == ()
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


def test_implicit_file_without_preamble_and_meta_is_read(tmp_path):
    ct = made()
    for file in write(tmp_path, ct):
        dataset = pydicom.dcmread(file)
        bare = pydicom.Dataset(dataset)
        pydicom.dcmwrite(file, bare, implicit_vr=True, little_endian=True, enforce_file_format=False)
    series = only(tmp_path)
    assert series.exclusions == ()
    np.testing.assert_array_equal(read_series(series, case_id="a").hu, ct.hu)


def test_damaged_file_is_an_entry_and_the_others_are_read(tmp_path):
    files = write(tmp_path)
    (tmp_path / "broken.dcm").write_bytes(files[0].read_bytes()[:150])
    broken, sound = sorted(find_series(tmp_path), key=lambda series: series.slices)
    assert codes(broken) == ["LS-DCM-001"]
    assert broken.files == (tmp_path / "broken.dcm",)
    assert sound.exclusions == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_that_cannot_be_listed_is_an_entry(tmp_path):
    (tmp_path / "a").mkdir(mode=0)
    assert codes(only(tmp_path)) == ["LS-DCM-001"]


def test_damaged_bytes_never_raise(tmp_path):
    """Headers with bytes changed at random: each file is read, excluded or skipped."""
    write(tmp_path / "sound", made(shape=(20, 18, 5)))
    whole = write(tmp_path / "other", made(shape=(20, 18, 1), seed=1))[0].read_bytes()
    rng = np.random.default_rng(5)
    (tmp_path / "damaged").mkdir()
    for number in range(250):
        content = bytearray(whole)
        for position in rng.integers(132, len(whole) - 720, rng.integers(1, 12)):
            content[position] = rng.integers(256)
        (tmp_path / f"damaged/{number}.dcm").write_bytes(content[: rng.integers(140, len(content))])
    found = find_series(tmp_path)
    assert any(series.slices == 5 and not series.exclusions for series in found)
    assert sum(len(series.files) for series in found) > 200
    find_segmentations(tmp_path)


def test_deeply_nested_sequences_are_excluded(tmp_path):
    files = write(tmp_path)
    content = files[0].read_bytes()
    depth = 5000
    nest = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
    at = content.index(b"\x10\0\x10\0PN")
    files[0].write_bytes(content[:at] + nest + content[at:])
    found = sorted(find_series(tmp_path), key=lambda series: series.slices)
    assert codes(found[0]) == ["LS-DCM-001"]
    assert found[1].slices == 7


def test_file_that_inflates_beyond_the_limit_is_excluded(tmp_path):
    files = write(tmp_path)
    dataset = pydicom.dcmread(files[0])
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "deflated.dcm")
    head = (tmp_path / "deflated.dcm").read_bytes()
    (tmp_path / "deflated.dcm").unlink()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = deflate.compress(bytes(1 << 24)) * 1
    bomb = zeros + b"".join(deflate.compress(bytes(1 << 24)) for _ in range(20)) + deflate.flush()  # 336 MiB of zeros
    meta_end = 132 + 12 + struct.unpack("<I", head[140:144])[0]
    files[0].write_bytes(head[:meta_end] + bomb)
    assert "LS-DCM-001" in [code for series in find_series(tmp_path) for code in codes(series)]


def test_large_values_are_not_loaded(tmp_path):
    """Fields of 8 MiB in each of 8 headers, private or not, cost no memory."""
    files = write_series(tmp_path, made(), tags={"PatientID": "P1"}, transfer_syntax=IMPLICIT)
    change(files, lambda d, _: d.private_block(0x0011, "X", create=True).add_new(1, "OB", bytes(1 << 22)))
    change(files, lambda d, _: setattr(d, "ProtocolName", "x" * (1 << 22)))
    find_series(tmp_path)  # imports and caches
    tracemalloc.start()
    assert only(tmp_path).exclusions == ()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 22


def test_links_out_of_the_tree_and_loops_are_not_followed(tmp_path):
    write(tmp_path / "elsewhere", made(seed=1))
    files = write(tmp_path / "root/a")
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/out.dcm").symlink_to(tmp_path / "elsewhere/0001.dcm")
    (tmp_path / "root/dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "root/same.dcm").symlink_to(files[0])
    series = only(tmp_path / "root")
    assert series.slices == 8
    assert series.exclusions == ()
    assert count_skipped_links(tmp_path / "root") == 4  # all but `same.dcm`


def test_linked_root_and_links_within_are_followed_and_keep_their_paths(tmp_path):
    files = write(tmp_path / "real/.cache")
    (tmp_path / "real/case").mkdir()
    for file in files:
        (tmp_path / "real/case" / file.name).symlink_to(file)
    (tmp_path / "root").symlink_to(tmp_path / "real")
    series = only(tmp_path / "root")
    assert series.files[0] == tmp_path / "root/case/0001.dcm"
    assert series.folder == "case"
    assert read_series(series, case_id="a").hu.shape == (8, 37, 41)


def test_deep_folders_need_no_recursion(tmp_path):
    files = write(tmp_path / "a")
    folder = tmp_path
    for _ in range(400):
        folder = folder / "d"
        folder.mkdir()
    for file in files:
        file.rename(folder / file.name)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        (series,) = find_series(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert series.exclusions == ()
    assert series.folder == "/".join(["d"] * 400)


def test_fifo_does_not_stop_the_search(tmp_path):
    write(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert only(tmp_path).exclusions == ()


def test_gdcm_is_never_imported(tmp_path):
    (tmp_path / "gdcm.py").write_text("raise SystemExit('gdcm was imported')")
    code = (
        "import sys; import liverspleen.imaging.dicom, highdicom, pydicom\n"
        "from liverspleen.imaging.dicom.quiet import pydicom\n"
        "pydicom.pixels.get_decoder('1.2.840.10008.1.2.4.90').is_available\n"
        "assert 'gdcm' not in sys.modules; print('fine')"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.stdout == "fine\n", run.stderr


def test_reasons_of_one_folder_are_the_same_each_time(tmp_path):
    files = write(tmp_path)
    files[3].unlink()
    assert {messages(only(tmp_path)) for _ in range(3)} == {
        "positions show 1 missing slice in 1 gap; other slices are 2.50 mm apart"
    }
