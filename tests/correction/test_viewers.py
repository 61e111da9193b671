"""Workspace and scene: valid XML, relative paths, names and colours of the organs."""

from __future__ import annotations

from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from liverspleen.correction.viewers import PLACE, itksnap_workspace, slicer_scene
from liverspleen.imaging.geometry import Geometry

GRID = Geometry((7, 6, 5), np.diag([-1.0, -1.0, 3.0, 1.0]))
NAMES = ["a", "A & <B>", 'q"uote', "50%", "Müller 1", "a#b?c"]


def entries(text: str) -> dict[str, str]:
    """Values of a workspace by their keys, joined as ITK-SNAP does."""
    found: dict[str, str] = {}

    def add(folder: ElementTree.Element, prefix: str) -> None:
        for child in folder:
            key = f"{prefix}{child.get('key')}"
            if child.tag == "folder":
                add(child, f"{key}.")
            else:
                found[key] = str(child.get("value"))

    add(ElementTree.fromstring(text), "")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_workspace_has_ct_and_label_map_relative_to_its_folder(name: str) -> None:
    found = entries(itksnap_workspace(f"{name}_ct.nii.gz", f"{name}_dseg.nii.gz", GRID))
    assert found["SaveLocation"] == PLACE
    assert found["Layers.Layer[000].Role"] == "MainRole"
    assert found["Layers.Layer[000].AbsolutePath"] == f"{PLACE}/{name}_ct.nii.gz"
    assert found["Layers.Layer[001].Role"] == "SegmentationRole"
    assert found["Layers.Layer[001].AbsolutePath"] == f"{PLACE}/{name}_dseg.nii.gz"


def test_the_workspace_names_the_organs_for_a_ct_of_its_size() -> None:
    found = entries(itksnap_workspace("a_ct.nii", "a_dseg.nii.gz", GRID))
    about = "Layers.Layer[000].ProjectMetaData"
    assert found[f"{about}.Files.Grey.Dimensions"] == "7 6 5"
    labels = f"{about}.IRIS.LabelTable"
    assert found[f"{labels}.NumberOfElements"] == "2"
    assert [found[f"{labels}.Element[{n}].Label"] for n in (0, 1)] == ["Liver", "Spleen"]
    assert [found[f"{labels}.Element[{n}].Index"] for n in (0, 1)] == ["1", "2"]
    assert found[f"{labels}.Element[0].Color"] == "230 159 0"  # #E69F00


@pytest.mark.parametrize("name", NAMES)
def test_the_scene_refers_only_to_nodes_and_files_that_it_has(name: str) -> None:
    files = f"{name}_ct.nii.gz", f"{name}_dseg.nii.gz", "slicer.ctbl"
    root = ElementTree.fromstring(slicer_scene(*files))
    assert {unquote(str(node.get("fileName"))) for node in root if node.get("fileName")} == set(files)
    ids = [str(node.get("id")) for node in root]
    assert len({*ids}) == len(ids)
    for node in root:
        stated = filter(None, str(node.get("references", "")).split(";"))
        assert {reference.partition(":")[2] for reference in stated} <= {*ids}
    assert {node.get("colorNodeID") for node in root} == {None, "vtkMRMLColorTableNodeGrey", "vtkMRMLColorTableNode1"}


def test_every_view_of_the_scene_shows_the_label_map_over_the_ct() -> None:
    root = ElementTree.fromstring(slicer_scene("a_ct.nii.gz", "a_dseg.nii.gz", "slicer.ctbl"))
    shown = {(node.get("layoutName"), node.get("references")) for node in root.iter("SliceComposite")}
    volumes = "backgroundVolume:vtkMRMLScalarVolumeNode1;labelVolume:vtkMRMLLabelMapVolumeNode1;"
    assert shown == {(view, volumes) for view in ("Red", "Green", "Yellow")}
