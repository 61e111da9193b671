"""A share of the cases: which ones a task of many takes, by nothing but their ids."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from liverspleen.errors import InputError, Issue

_WORDS: Final = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """Share `number` of `count`, counted from 1; the only one of 1 by default.

    Each case belongs to exactly one share, whatever the other cases are, so tasks need not know of each other.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def of(cls, words: str | None) -> Shard:
        """The share that `2/8` names; all if nothing is said.

        Tasks may be numbered from 1 or from 0: `0/8` is `8/8`, so both `1/8` to `8/8` and `0/8` to `7/8` are all.

        Raises:
            InputError: LS-PRD-030 it is no share of that many.

        >>> Shard.of("2/8"), Shard.of("0/8") == Shard.of("8/8")
        (Share(number=2, count=8), True)
        """
        if words is None:
            return cls()
        found = _WORDS.fullmatch(words.strip())
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if count < 1 or number > count:
            message = f"shard={words} is no share"
            hint = "give 1/8 to 8/8 for 8 tasks, or 0/8 to 7/8 if they count from 0"
            raise InputError(Issue("LS-PRD-030", message, hint))
        return cls(number or count, count)

    def takes(self, case_id: str) -> bool:
        """Whether the case is one of this share.

        >>> [sum(Shard(number, 3).takes(case) for number in (1, 2, 3)) for case in ("a", "b", "é")]
        [1, 1, 1]
        """
        digest = hashlib.sha256(case_id.encode("utf-8")).digest()
        return int.from_bytes(digest, "big") % self.count == self.number % self.count

    @property
    def record(self) -> str:
        """Name of its run record: each share has its own.

        >>> Shard(2, 8).record, Shard().record
        ('run_2of8.json', 'run.json')
        """
        return "run.json" if self.count == 1 else f"run_{self.number}of{self.count}.json"
