import numpy as np
import pytest
from PIL import Image

from liverspleen.imaging import CTVolume, Geometry, LabelMap
from liverspleen.inference.case_picture import write_case_picture
from liverspleen.organs import ORGANS, Structure

SPACING = (5.0, 1.6, 0.8)  # slice, row, column
SHAPE = (20, 100, 240)
LIVER, SPLEEN = np.s_[9:13, 20:70, 40:120], np.s_[10:15, 60:80, 180:200]


def case(*boxes, spacing=SPACING, shape=SHAPE):
    labels = np.zeros(shape, np.uint8)
    hu = np.full(shape, -1000, np.int16)
    hu[:, 10:90, 10:230] = 0  # the body
    for structure, box in boxes:
        labels[box] = structure
    geometry = Geometry(shape[::-1], np.diag([-spacing[2], -spacing[1], spacing[0], 1.0]))
    return CTVolume(hu, geometry), LabelMap(labels, geometry)


def picture(path, *boxes, title="A017", notes=(), **options):
    ct, label_map = case(*boxes, **options)
    write_case_picture(path, ct, label_map, title, notes)
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image)


def coloured(page, organ):
    """Pixels with exactly the colour of the organ; text is blended with the background."""
    return (page == [int(organ.facts.colour[at : at + 2], 16) for at in (1, 3, 5)]).all(axis=2)


def groups(line):
    """First and last index of each group of true values with no more than 20 false ones between."""
    found = np.flatnonzero(line)
    breaks = np.flatnonzero(np.diff(found) > 20)
    return list(zip(found[np.r_[0, breaks + 1]], found[np.r_[breaks, found.size - 1]], strict=True))


def test_every_view_has_the_true_aspect_and_the_patients_right_at_the_left(tmp_path):
    page = picture(tmp_path / "a.png", (Structure.LIVER, LIVER), (Structure.SPLEEN, SPLEEN))
    liver = coloured(page[60:], Structure.LIVER)  # below the text
    top, bottom = groups(liver.any(axis=1))
    assert bottom[1] - bottom[0] + 1 == pytest.approx(4 * 5.0 / 0.8, abs=1)
    assert top[1] - top[0] + 1 == pytest.approx(50 * 1.6 / 0.8, abs=1)
    left, right = groups(liver[top[0] : top[1] + 1].any(axis=0))
    for first, last in (left, right):  # one axial slice for each organ
        assert last - first + 1 == 80
    coronal, sagittal = groups(liver[bottom[0] : bottom[1] + 1].any(axis=0))
    assert coronal[1] - coronal[0] + 1 == 80
    assert sagittal[1] - sagittal[0] + 1 == 100
    spleen = coloured(page[60:], Structure.SPLEEN)
    assert np.flatnonzero(spleen.any(axis=0))[0] > left[1]  # the patient's left is at the right


def test_contours_are_on_the_border_and_the_inside_shows_the_ct(tmp_path):
    page = picture(tmp_path / "a.png", (Structure.LIVER, LIVER))
    liver = coloured(page[60:, : page.shape[1] // 2], Structure.LIVER)  # axial, below it sagittal
    axial = liver[slice(*np.add(groups(liver.any(axis=1))[0], (0, 1)))]
    within = axial[:, slice(*np.add(groups(axial.any(axis=0))[0], (0, 1)))]
    assert within.shape == (100, 80)
    assert within[:2].all()
    assert within[:, -2:].all()
    assert not within[2:-2, 2:-2].any()


def test_the_same_case_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        picture(tmp_path / name, (Structure.LIVER, LIVER), notes=["trained on phantoms only"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_notes_have_their_own_lines(tmp_path):
    without = picture(tmp_path / "a.png", (Structure.LIVER, LIVER))
    with_note = picture(tmp_path / "b.png", (Structure.LIVER, LIVER), notes=["trained on phantoms only"])
    assert with_note.shape[0] == without.shape[0] + 18
    # red and green without blue, as no CT and no other text
    amber = (with_note[:, :, 0] > 150) & (with_note[:, :, 1] > 120) & (with_note[:, :, 2] < 40)
    assert amber[24:42].any()


@pytest.mark.parametrize("shape", [(1, 40, 50), (2, 40, 50), (3, 1, 50), (300, 20, 20)])
@pytest.mark.parametrize("organs", [(), ORGANS[:1], ORGANS[1:], ORGANS])
def test_any_scan_has_a_picture(tmp_path, shape, organs):
    labels = np.zeros(shape, np.uint8)
    for organ in organs:
        labels[0, 0, int(organ) * 5 : int(organ) * 5 + 4] = organ
    geometry = Geometry(shape[::-1], np.diag([-1.0, -1.0, 2.0, 1.0]))
    ct = CTVolume(np.full(shape, -1000, np.int16), geometry)
    write_case_picture(tmp_path / "a.png", ct, LabelMap(labels, geometry), "x" * 500, ["y" * 500])
    with Image.open(tmp_path / "a.png") as image:
        assert min(image.size) > 20


def test_untrusted_text_and_line_breaks_are_safe(tmp_path):
    page = picture(tmp_path / "a.png", title="é 肝\n\x00 1234 cm³ − ×", notes=["", "肝" * 3])
    assert page.any()


def test_a_ct_of_another_shape_is_a_value_error(tmp_path):
    ct, label_map = case()
    other = LabelMap(label_map.labels[1:], Geometry((240, 100, 19), np.eye(4)))
    with pytest.raises(ValueError, match="its label map"):
        write_case_picture(tmp_path / "a.png", ct, other, "A")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spacing", [(1e4, 1e4, 1e4), (5e4, 1.0, 1.0), (1e-5, 1e-5, 1e-5)])
def test_a_picture_is_small_for_any_spacing(tmp_path, spacing):
    box = (Structure.LIVER, np.s_[5:15, 20:60, 40:120])
    page = picture(tmp_path / "a.png", box, spacing=spacing)
    assert page.shape[0] < 6000
    assert page.shape[1] < 6000


def test_a_picture_with_larger_pixels_keeps_the_true_aspect(tmp_path):
    page = picture(tmp_path / "a.png", (Structure.LIVER, LIVER), spacing=(100.0, 32.0, 16.0))
    pixel_mm = 220 * 16.0 / 2560  # the body's columns are the longest side
    top, bottom = groups(coloured(page[60:], Structure.LIVER).any(axis=1))
    # the coronal plane beside the axial one begins with the liver, which in that ends 60 rows below the body's border
    assert top[1] - top[0] + 1 == pytest.approx(60 * 32.0 / pixel_mm, abs=2)
    assert bottom[1] - bottom[0] + 1 == pytest.approx(4 * 100.0 / pixel_mm, abs=2)
