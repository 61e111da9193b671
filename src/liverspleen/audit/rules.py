"""All rules by name. To add a rule, add an entry to the `RULES` of its module."""

from __future__ import annotations

from typing import Final

from liverspleen.audit import counts, differences, limits, p_values, prose, samples, unions
from liverspleen.audit.rule import Rule

RULES: Final[dict[str, Rule]] = {
    rule.name: rule
    for module in (counts, samples, unions, p_values, limits, differences, prose)
    for rule in module.RULES
}
