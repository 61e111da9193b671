"""Controlled rounding of a table: each cell, row total and column total is rounded down or up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

Cell = tuple[int, int]


def controlled_rounding(fractions: Sequence[Sequence[Fraction]], random_numbers: Iterator[Fraction]) -> list[list[int]]:
    """Return whole numbers for a two-way table, with each cell, row, column and the total rounded down or up.

    Such numbers exist for each two-way table. The rounding is unbiased: the expected value of each cell over
    `random_numbers` (uniform in [0, 1)) is the cell of the table.

    Source: Cox LH, J Am Stat Assoc 1987;82:520-524.

    >>> half = Fraction(1, 2)
    >>> controlled_rounding([[half, half], [half, half]], iter([Fraction(0)]))
    [[1, 0], [0, 1]]
    """
    table = _closed(fractions)
    while cycle := _cycle(table):
        values = [table[row][column] for row, column in cycle]
        above = [math.ceil(value) - value for value in values]
        below = [value - math.floor(value) for value in values]
        up = min(*above[::2], *below[1::2])
        down = min(*below[::2], *above[1::2])
        step = up if next(random_numbers) * (up + down) < down else -down  # 0 on average
        for number, (row, column) in enumerate(cycle):
            table[row][column] += -step if number % 2 else step
    return [[int(cell) for cell in row[:-1]] for row in table[:-1]]


def _closed(fractions: Sequence[Sequence[Fraction]]) -> list[list[Fraction]]:
    """Return the table with a further row and column of values in [0, 1), so that all its margins are whole."""
    total = sum((cell for row in fractions for cell in row), Fraction())
    table = [[*row, _missing(row)] for row in fractions]
    return [*table, [*(_missing(column) for column in zip(*fractions, strict=True)), total - math.floor(total)]]


def _missing(cells: Sequence[Fraction]) -> Fraction:
    total = sum(cells, Fraction())
    return math.ceil(total) - total


def _cycle(table: list[list[Fraction]]) -> list[Cell]:
    """Return a cycle of fractional cells, alternately in the same row and column as the next; empty if all are whole.

    A row or column with a whole sum has no fractional cell or at least two, so a walk over them reaches a cycle.
    """
    fractional = [(i, j) for i, row in enumerate(table) for j, cell in enumerate(row) if cell.denominator > 1]
    if not fractional:
        return []
    walk: list[Cell] = []
    along, line = 0, fractional[0][0]  # 0: in a row, 1: in a column
    visited = {(along, line): 0}
    while True:
        cell = next(cell for cell in fractional if cell[along] == line and cell not in walk[-1:])
        walk.append(cell)
        along = 1 - along
        line = cell[along]
        if (along, line) in visited:
            return walk[visited[along, line] :]
        visited[along, line] = len(walk)
