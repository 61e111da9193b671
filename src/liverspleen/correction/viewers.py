"""Files that open a CT and its label map together: a workspace of ITK-SNAP and a scene of 3D Slicer.

All paths in them are relative to their folder, so the folder can be moved to another computer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from liverspleen.imaging.geometry import Geometry
from liverspleen.organs import ORGANS

PLACE: Final = "/liverspleen"
"""Stated folder of a workspace. ITK-SNAP needs absolute paths, and makes them relative to the folder in which the
workspace was saved if it finds the workspace in another one. So a folder that does not exist makes all paths relative.
"""

_WINDOW: Final = ("400", "50")
"""Width and level of the display in 3D Slicer, in HU: the usual soft tissue window of the abdomen."""

_OPACITY: Final = "0.5"
_KEPT: Final = "!#$&'()*+,/:;=?@[]"
"""Characters that 3D Slicer does not escape in the file names of a scene."""

_DOCTYPE: Final = """<!DOCTYPE registry [
<!ELEMENT registry (entry*,folder*)>
<!ELEMENT folder (entry*,folder*)>
<!ELEMENT entry EMPTY>
<!ATTLIST folder key CDATA #REQUIRED>
<!ATTLIST entry key CDATA #REQUIRED>
<!ATTLIST entry value CDATA #REQUIRED>
]>
"""


def itksnap_workspace(ct: str, label_map: str, grid: Geometry) -> str:
    """Return the text of a workspace of ITK-SNAP with names and colours of the organs.

    Args:
        ct: name of the CT file in the folder of the workspace.
        label_map: name of the label map file.
        grid: their grid. ITK-SNAP reads the names and colours only if the stated size is that of the CT.
    """
    root = Element("registry")
    _entry(root, "SaveLocation", PLACE)
    _entry(root, "Version", "20190612")  # of ITK-SNAP 3.8, which later versions read
    layers = _folder(root, "Layers")
    main = _layer(layers, 0, ct, "MainRole")
    about = _folder(main, "ProjectMetaData")
    _entry(_folder(_folder(about, "Files"), "Grey"), "Dimensions", " ".join(map(str, grid.shape)))
    table = _folder(_folder(about, "IRIS"), "LabelTable")
    _entry(table, "NumberOfElements", str(len(ORGANS)))
    for index, organ in enumerate(ORGANS):
        red, green, blue = bytes.fromhex(organ.facts.colour.removeprefix("#"))
        element = _folder(table, f"Element[{index}]")
        for key, value in {
            "Alpha": "255",
            "Color": f"{red} {green} {blue}",
            "Flags": "1 1",
            "Index": str(int(organ)),
            "Label": organ.title,
        }.items():
            _entry(element, key, value)
    _layer(layers, 1, label_map, "SegmentationRole")
    return _text(root, _DOCTYPE)


def slicer_scene(ct: str, label_map: str, colours: str) -> str:
    """Return the text of a scene of 3D Slicer (.mrml); the arguments are names of files in its folder."""
    root = Element("MRML", version="Slicer4.4.0", userTags="")
    shown = {"background": "vtkMRMLScalarVolumeNode1", "label": "vtkMRMLLabelMapVolumeNode1"}
    for view in ("Red", "Green", "Yellow"):
        references = "".join(f"{place}Volume:{node};" for place, node in shown.items())
        composite = {"singletonTag": view, "layoutName": view, "references": references, "labelOpacity": _OPACITY}
        _node(root, "SliceComposite", f"vtkMRMLSliceCompositeNode{view}", "SliceComposite", composite)
    _stored(root, "ColorTableStorage", "vtkMRMLColorTableStorageNode1", colours)
    table = {"references": "storage:vtkMRMLColorTableStorageNode1;", "type": "14", "numcolors": str(len(ORGANS) + 1)}
    _node(root, "ColorTable", "vtkMRMLColorTableNode1", "organs", table)
    window, level = _WINDOW
    look = {"colorNodeID": "vtkMRMLColorTableNodeGrey", "window": window, "level": level, "autoWindowLevel": "0"}
    _volume(root, "Volume", "Scalar", 1, ct, look)
    _volume(root, "LabelMapVolume", "LabelMap", 2, label_map, {"colorNodeID": "vtkMRMLColorTableNode1"})
    return _text(root)


def _volume(root: Element, tag: str, kind: str, storage: int, file: str, look: Mapping[str, str]) -> None:
    """Add a volume with its storage and its display."""
    display = f"vtkMRML{kind}VolumeDisplayNode1"
    tag_of_display = "VolumeDisplay" if tag == "Volume" else f"{tag}Display"
    _node(root, tag_of_display, display, tag_of_display, {"visibility": "true", **look})
    node = f"vtkMRMLVolumeArchetypeStorageNode{storage}"
    _stored(root, "VolumeArchetypeStorage", node, file, {"centerImage": "0", "UseOrientationFromFile": "1"})
    references = {"references": f"display:{display};storage:{node};"}
    _node(root, tag, f"vtkMRML{kind}VolumeNode1", file.partition(".nii")[0], references)


def _stored(root: Element, tag: str, node: str, file: str, more: Mapping[str, str] | None = None) -> None:
    _node(root, tag, node, tag, {"fileName": quote(file, safe=_KEPT), "useCompression": "1", **(more or {})})


def _node(root: Element, tag: str, node: str, name: str, attributes: Mapping[str, str]) -> None:
    SubElement(root, tag, {"id": node, "name": name, **attributes})


def _layer(layers: Element, number: int, file: str, role: str) -> Element:
    layer = _folder(layers, f"Layer[{number:03d}]")
    _entry(layer, "AbsolutePath", f"{PLACE}/{file}")
    _entry(layer, "Role", role)
    _entry(layer, "Tags", "")
    return layer


def _folder(parent: Element, key: str) -> Element:
    return SubElement(parent, "folder", {"key": key})


def _entry(parent: Element, key: str, value: str) -> None:
    SubElement(parent, "entry", {"key": key, "value": value})


def _text(root: Element, doctype: str = "") -> str:
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}{tostring(root, encoding="unicode")}\n'
