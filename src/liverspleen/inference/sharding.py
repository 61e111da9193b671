"""Shards: the cases that each of several tasks processes, selected only by their case ids."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from liverspleen.errors import InputError, Issue

_SHARD: Final = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """Shard `number` of `count`, counted from 1; the default is the only shard of 1.

    Each case belongs to exactly one shard. Other cases have no influence, so tasks need no communication.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def of(cls, text: str | None) -> Shard:
        """Return the shard of a text such as `2/8`; None: all cases.

        Tasks are numbered from 1 or from 0: `0/8` equals `8/8`, so `1/8` to `8/8` and `0/8` to `7/8` both cover all.

        Raises:
            InputError: LS-PRD-030 the text is not a shard.

        >>> Shard.of("2/8"), Shard.of("0/8") == Shard.of("8/8")
        (Shard(number=2, count=8), True)
        """
        if text is None:
            return cls()
        found = _SHARD.fullmatch(text.strip())
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if count < 1 or number > count:
            message = f"shard={text} is not a shard, expected NUMBER/COUNT with NUMBER at most COUNT"
            hint = "give 1/8 to 8/8 for 8 tasks, or 0/8 to 7/8 if they count from 0"
            raise InputError(Issue("LS-PRD-030", message, hint))
        return cls(number or count, count)

    def includes(self, case_id: str) -> bool:
        """Return whether the case belongs to this shard.

        >>> [sum(Shard(number, 3).includes(case) for number in (1, 2, 3)) for case in ("a", "b", "é")]
        [1, 1, 1]
        """
        digest = hashlib.sha256(case_id.encode("utf-8")).digest()
        return int.from_bytes(digest, "big") % self.count == self.number % self.count

    @property
    def record(self) -> str:
        """Name of the run record; each shard has its own.

        >>> Shard(2, 8).record, Shard().record
        ('run_2of8.json', 'run.json')
        """
        return "run.json" if self.count == 1 else f"run_{self.number}of{self.count}.json"
