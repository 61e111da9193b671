"""Hints about headers of NRRD and MetaImage, and about the segments that they name."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from hinting import hint

sys.path.append(str(Path(__file__).parents[1] / "imaging"))
from other_formats import segments, write_metaimage, write_nrrd

from liverspleen.cohort.findings.geometry import form_issues
from liverspleen.imaging import read_ct, read_grid, read_label_map
from liverspleen.organs import Structure

LPS = np.diag([0.8, 0.8, 5.0, 1.0])
LABELS = np.zeros((6, 5, 4), np.uint8)
LABELS[1:3, 1:3, 1:3], LABELS[4, 1:3, 1:3] = 1, 2


def changed(file: Path, before: str, after: str) -> None:
    file.write_bytes(file.read_bytes().replace(before.encode(), after.encode(), 1))


@hint("LS-IMG-060", "save the image again with the program that wrote it")
def two_offsets(folder: Path):
    file = write_metaimage(folder / "a.mha", LABELS, LPS)
    changed(file, "CenterOfRotation", "Origin")
    yield partial(read_ct, file)
    write_metaimage(file, LABELS, LPS)


@hint("LS-IMG-061", "add the data file that the header names, in the folder of the header")
def data_file_elsewhere(folder: Path):
    file = write_metaimage(folder / "a.mhd", LABELS, LPS, data="a.raw")
    (folder / "a.raw").rename(folder / "b.raw")
    yield partial(read_ct, file)
    (folder / "b.raw").rename(folder / "a.raw")


@hint("LS-IMG-061", "save the image in one file, such as .nrrd")
def several_data_files(folder: Path):
    file = write_metaimage(folder / "a.mha", LABELS, LPS)
    changed(file, "= LOCAL", "= LIST")
    yield partial(read_ct, file)
    write_metaimage(file, LABELS, LPS)


@hint("LS-IMG-062", "save the image again with the encoding gzip or raw")
def packed_by_bzip2(folder: Path):
    file = write_nrrd(folder / "a.nrrd", LABELS, LPS)
    changed(file, "encoding: gzip", "encoding: bzip2")
    yield partial(read_ct, file)
    write_nrrd(file, LABELS, LPS)


NAMED = segments(("Spleen", 2, 0), ("Liver", 1, 0))


@hint("LS-LAB-056", "remove label_values=")
def values_against_names(folder: Path):
    file = write_nrrd(folder / "a.seg.nrrd", LABELS, LPS, keys=NAMED)
    yield partial(read_label_map, file, values={2: Structure.LIVER})
    yield partial(read_label_map, file)


@hint("LS-LAB-057", "rename the segments")
def segments_without_a_name(folder: Path):
    file = write_nrrd(folder / "a.seg.nrrd", LABELS, LPS, keys=segments(("Segment_1", 1, 0), ("Segment_2", 2, 0)))
    yield partial(read_label_map, file)
    write_nrrd(file, LABELS, LPS, keys=NAMED)


@hint("LS-LAB-057", "or give label_values= with their values")
def values_of_segments_without_a_name(folder: Path):
    file = write_nrrd(folder / "a.seg.nrrd", LABELS, LPS, keys=segments(("Segment_1", 1, 0), ("Segment_2", 2, 0)))
    yield partial(read_label_map, file)
    yield partial(read_label_map, file, values={1: Structure.LIVER, 2: Structure.SPLEEN})


@hint("LS-GEO-020", "set the code of the sform to 0 if the qform is right")
def sform_of_zeros(folder: Path):
    file = folder / "a.nii"
    image = nib.Nifti1Image(LABELS, LPS)
    image.set_qform(LPS, 1)
    nib.save(image, file)
    content = bytearray(file.read_bytes())
    content[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    file.write_bytes(content)
    yield lambda: [*form_issues(read_grid(file))]
    content[254:256] = bytes(2)  # sform_code
    file.write_bytes(content)
