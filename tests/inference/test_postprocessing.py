import json

import numpy as np
import pytest

from liverspleen.errors import InputError
from liverspleen.evaluation.metrics.connected_components import Dropped, parts
from liverspleen.imaging import Geometry, LabelMap, read_label_map
from liverspleen.inference.model import TrainedModel
from liverspleen.inference.postprocessing import LARGEST_LOSS, choose_postprocessing, postprocess
from liverspleen.inference.prediction import settings_of
from liverspleen.organs import ORGANS, Structure
from liverspleen.phantom.cohort import write_phantom_cohort

BOTH = dict.fromkeys(ORGANS, "main_parts")
SHAPE = (10, 40, 60)
LIVER, SPLEEN = np.s_[2:8, 10:30, 10:30], np.s_[3:7, 20:32, 42:54]  # 2400 and 576 voxels of 0.1 cm³


def label_map(*boxes, covered=ORGANS):
    labels = np.zeros(SHAPE, np.uint8)
    for structure, box in boxes:
        labels[box] = structure
    geometry = Geometry(SHAPE[::-1], np.diag([-5.0, -5.0, 4.0, 1.0]))
    return LabelMap(labels, geometry, covered)


TRUTH = label_map((Structure.LIVER, LIVER), (Structure.SPLEEN, SPLEEN))


def changed(*boxes, of=TRUTH):
    labels = of.labels.copy()
    for structure, box in boxes:
        labels[box] = structure
    return LabelMap(labels, of.geometry)


def test_label_map_is_unchanged_without_a_rule():
    drawn = changed((Structure.LIVER, np.s_[0, 0, 0]))
    assert postprocess(drawn, {}).label_map is drawn
    assert postprocess(drawn, {}).dropped == {}


def test_islands_become_background_and_the_other_organ_is_unchanged():
    drawn = changed((Structure.LIVER, np.s_[0, 0, :3]), (Structure.LIVER, np.s_[5, 25, 46]))
    done = postprocess(drawn, {Structure.LIVER: "main_parts"})
    assert done.dropped == {Structure.LIVER: Dropped(2, pytest.approx(0.4))}  # 3 voxels, and one within the spleen
    expected = TRUTH.labels.copy()
    expected[5, 25, 46] = 0
    np.testing.assert_array_equal(done.label_map.labels, expected)
    assert drawn.labels[0, 0, 0] == Structure.LIVER  # the input is not changed


def test_empty_label_maps_stay_empty():
    empty = label_map()
    done = postprocess(empty, BOTH)
    assert done.label_map is empty
    assert done.dropped == dict.fromkeys(ORGANS, Dropped())


def test_small_parts_that_touch_the_other_organ_are_removed():
    """A small part of spleen at the border of the liver is separate: voxels with different labels are not connected."""
    drawn = label_map(
        (Structure.LIVER, np.s_[2:8, 10:30, 10:30]),
        (Structure.SPLEEN, np.s_[2:8, 10:30, 30:50]),  # face to face with the liver
        (Structure.SPLEEN, np.s_[4, 15:17, 9]),  # at the liver's other side
    )
    done = postprocess(drawn, BOTH)
    assert done.dropped == {Structure.LIVER: Dropped(), Structure.SPLEEN: Dropped(1, pytest.approx(0.2))}
    assert done.label_map.count(Structure.LIVER) == 2400
    assert done.label_map.count(Structure.SPLEEN) == 2400


def test_a_second_liver_part_after_resection_stays():
    resected = label_map((Structure.LIVER, np.s_[2:8, 10:30, 10:18]), (Structure.LIVER, np.s_[3:8, 12:17, 24:28]))
    assert len(parts(resected, Structure.LIVER)) == 2  # 960 and 100 voxels
    assert postprocess(resected, BOTH).label_map is resected


def test_phantoms_after_hepatectomy_lose_nothing_and_in_two_parts_keep_both(tmp_path):
    request = {"development": 5, "test1": 0, "pairs": 0, "seed": 3, "matrix": 64, "thickness_mm": (5.0, 5.0)}
    write_phantom_cohort(tmp_path, **request, workers=1)
    resected = read_label_map(tmp_path / "labels" / "dev005.nii.gz")  # the fifth condition is post_hepatectomy
    done = postprocess(resected, BOTH)
    assert done.label_map.count(Structure.LIVER) >= 0.995 * resected.count(Structure.LIVER)
    # a central resection: a strip of the liver is missing, both sides remain
    columns = np.flatnonzero((resected.labels == Structure.LIVER).any(axis=(0, 1)))
    cut = resected.labels.copy()
    strip = cut[:, :, columns[len(columns) // 2] :][:, :, :3]
    strip[strip == Structure.LIVER] = 0
    halves = LabelMap(cut, resected.geometry)
    sizes = [part.volume_cm3 for part in parts(halves, Structure.LIVER)]
    assert len(sizes) >= 2
    assert sizes[1] >= 10
    kept = [part.volume_cm3 for part in parts(postprocess(halves, BOTH).label_map, Structure.LIVER)]
    assert kept[:2] == sizes[:2]


def test_an_unknown_rule_is_rejected():
    with pytest.raises(InputError, match="LS-PRD-020: postprocessing rule 'largest' of the liver is unknown"):
        postprocess(TRUTH, {Structure.LIVER: "largest"})


CRUMB = (Structure.LIVER, np.s_[0, 0, :40])  # 40 of 2400: 4 cm³, 1.7 %


def test_a_rule_is_adopted_if_the_mean_rises_and_recorded_with_its_evidence():
    choice = choose_postprocessing([(changed(CRUMB), TRUTH), *[(TRUTH, TRUTH)] * 4])
    assert choice.rules == {Structure.LIVER: "main_parts"}
    liver, spleen = (choice.evidence[organ] for organ in ORGANS)
    assert (liver.cases, liver.better, liver.worse, liver.largest_loss, liver.adopted) == (5, 1, 0, 0.0, True)
    assert liver.mean_dss_before == pytest.approx((4800 / 4840 + 4) / 5)
    assert liver.mean_dss_after == 1.0
    assert (spleen.adopted, spleen.reason) == (False, "the rule changes no DSS")
    assert json.loads(json.dumps(choice.plain()))["rules"] == {"liver": "main_parts"}


def test_a_rule_is_not_adopted_if_the_mean_falls():
    """The reference has the small part too."""
    assert choose_postprocessing([(changed(CRUMB), changed(CRUMB))]).rules == {}


def test_one_large_loss_prevents_a_rule_that_improves_the_mean():
    helped = [(changed(CRUMB), TRUTH)] * 9
    # 40 of 2440 voxels are lost: 1 - 4800 / 4840 = 0.0083 against 9 gains of as much
    choice = choose_postprocessing([*helped, (changed(CRUMB), changed(CRUMB))])
    found = choice.evidence[Structure.LIVER]
    assert choice.rules == {}
    assert found.mean_dss_after > found.mean_dss_before
    assert (found.better, found.worse) == (9, 1)
    assert found.largest_loss == pytest.approx(40 / 4840)
    assert found.largest_loss > LARGEST_LOSS
    assert found.reason == "the DSS of a case falls by 0.0083, more than 0.005"


def test_a_small_loss_does_not_prevent_a_rule():
    small = (Structure.LIVER, np.s_[0, 0, :20])  # 20 / 4820 = 0.0041
    choice = choose_postprocessing([(changed(CRUMB), TRUTH), (changed(small), changed(small)), *[(TRUTH, TRUTH)] * 3])
    assert choice.rules == {Structure.LIVER: "main_parts"}
    assert choice.evidence[Structure.LIVER].worse == 1


def test_four_cases_are_too_few_for_any_gain():
    choice = choose_postprocessing([(changed(CRUMB), TRUTH)] * 4)
    assert choice.rules == {}
    assert choice.evidence[Structure.LIVER].reason == "4 cases, expected at least 5"


def test_cases_without_a_score_are_counted_and_unlabelled_ones_are_not():
    no_spleen = label_map((Structure.LIVER, LIVER))
    liver_only = label_map((Structure.LIVER, LIVER), covered=(Structure.LIVER,))
    choice = choose_postprocessing([(no_spleen, no_spleen), (TRUTH, liver_only)])
    assert (choice.evidence[Structure.SPLEEN].cases, choice.evidence[Structure.SPLEEN].undefined) == (0, 1)
    assert choice.evidence[Structure.SPLEEN].mean_dss_before is None
    assert choice.evidence[Structure.LIVER].cases == 2


def test_no_rule_is_adopted_without_pairs():
    choice = choose_postprocessing([])
    assert choice.rules == {}
    assert choice.evidence[Structure.LIVER].reason == "the rule changes no DSS"


def test_an_unknown_rule_of_a_model_is_rejected_before_any_case() -> None:
    model = TrainedModel(lambda slices: slices, None, 3, 8, {}, "", postprocessing={Structure.LIVER: "largest"})
    with pytest.raises(InputError, match="LS-PRD-020"):
        settings_of(model, precision="auto", flips=False, postprocessing=True)
    assert settings_of(model, precision="auto", flips=False, postprocessing=False).postprocessing == {}
