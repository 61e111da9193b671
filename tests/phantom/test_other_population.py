"""Phantoms of another hospital differ from the others in what is stated."""

from __future__ import annotations

import pytest

from liverspleen.phantom.anatomy import Condition, draw_anatomy
from liverspleen.phantom.other_population import other_scanner, weakly_enhanced
from liverspleen.phantom.scanner import Scanner


def test_the_scanner_and_the_enhancement_are_those_stated() -> None:
    other = other_scanner(Scanner(128, 7.0, 9.0, 0.35, hu_offset=1.5))
    assert (other.noise_sd_hu, other.kernel_cutoff_per_mm, other.hu_offset) == (18.0, 0.6, -8.5)
    before = draw_anatomy(Condition.CIRRHOSIS, 3)
    after = weakly_enhanced(before)
    pairs = zip(before.solids, after.solids, strict=True)
    layers = [(a, b) for one, other in pairs for a, b in zip(one.layers, other.layers, strict=True)]
    organ = {a.label.key: (a.hu, b.hu) for a, b in layers if a.label}
    assert set(organ) == {"liver", "spleen"}
    for hu, weak in organ.values():
        assert weak == pytest.approx(40 + 0.4 * (hu - 40))
    assert {(a.hu, b.hu) for a, b in layers if not 40 < a.hu <= 250} <= {(a.hu, a.hu) for a, _ in layers}
