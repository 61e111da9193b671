"""Reader of the pickle of a torch checkpoint: an interpreter of the opcodes that torch writes, without any call.

`pickle` and `torch.load` are not used. Reading stops at the first opcode or name that does not describe a plain value,
a map, a list, or a tensor of a known type.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass
from typing import Any

from liverspleen.inference.untrusted.tensors import NUMBER_TYPES

MAX_PICKLE_BYTES = 8 << 20  # 0.3 MB with Xception-65 and its optimizer
_MAX_OPCODES = 400_000
_STORAGES = {f"torch {kind.storage}": name for name, kind in NUMBER_TYPES.items()}
_MAP, _TENSOR, _PARAMETER = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
_KNOWN = {_MAP, _TENSOR, _PARAMETER, *_STORAGES}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class NotPlainError(ValueError):
    """The pickle has something other than values and tensors; the text describes it."""


@dataclass(frozen=True)
class PickledTensor:
    """A tensor in the pickle: it starts at number `first` of the storage `key`, which has `stored` numbers."""

    key: str
    dtype: str
    stored: int
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    numbers: int


class _Mark:
    """The start of a group of values on the stack."""


def read_pickle(data: bytes) -> Any:
    """Return the value of a torch pickle (protocol 2), with tensors as `PickledTensor`.

    Raises:
        NotPlainError: the pickle has anything else; nothing of it is executed.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise NotPlainError(f"its pickle has {len(data)} bytes")
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
            if count > _MAX_OPCODES:
                raise NotPlainError(f"its pickle has more than {_MAX_OPCODES} opcodes")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except NotPlainError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError) as error:
        raise NotPlainError(f"its pickle is damaged or not valid ({type(error).__name__})") from None
    raise NotPlainError("its pickle has no end")


class _Machine:
    """The stack and the memo of the pickle protocol, without imports and calls."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Interpret one opcode."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in {"BINPUT", "LONG_BINPUT"}:
            self.memo[argument] = self.stack[-1]
        elif name in {"BINGET", "LONG_BINGET"}:
            self.stack.append(self.memo[argument])
        elif name == "MARK":
            self.stack.append(_Mark())
        elif name in _SHORT_TUPLES:
            self._group(len(self.stack) - _SHORT_TUPLES[name])
        elif name == "TUPLE":
            self.stack.append(tuple(self._popped()))
        else:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:
        if name == "PROTO" and argument == 2:
            return
        if name in {"APPEND", "APPENDS"}:
            items = self._popped() if name == "APPENDS" else [self.stack.pop()]
            _expected(self.stack[-1], list).extend(items)
        elif name in {"SETITEM", "SETITEMS"}:
            pairs = self._popped() if name == "SETITEMS" else self._last(2)
            target = _expected(self.stack[-1], dict)
            for key, value in zip(pairs[::2], pairs[1::2], strict=True):
                if type(key) not in (str, int):  # hashing deeply nested tuples overflows the C stack
                    raise NotPlainError(f"a key is of type {type(key).__name__}")
                target[key] = value
        elif name == "GLOBAL":
            if argument not in _KNOWN:
                raise NotPlainError(f"it imports {argument.replace(' ', '.')[:80]}")
            self.stack.append(_Global(argument))
        elif name == "BINPERSID":
            self.stack.append(_storage(self.stack.pop()))
        elif name == "REDUCE":
            arguments, asked = self.stack.pop(), self.stack.pop()
            self.stack.append(_made(_expected(asked, _Global).name, _expected(arguments, tuple)))
        elif name == "BUILD":
            self.stack.pop()  # torch attaches the versions of modules to a map of weights
            _expected(self.stack[-1], dict)
        else:
            raise NotPlainError(f"it has the pickle opcode {name}")

    def _popped(self) -> list[Any]:
        """Remove and return the values above the last mark, and remove the mark."""
        items: list[Any] = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _last(self, number: int) -> list[Any]:
        items = self.stack[-number:]
        del self.stack[-number:]
        return items

    def _group(self, start: int) -> None:
        if start < 0:
            raise IndexError
        self.stack[start:] = [tuple(self.stack[start:])]


def _made(name: str, arguments: tuple[Any, ...]) -> Any:
    if name == _MAP and not arguments:
        return {}
    if name == _PARAMETER:
        return _expected(arguments[0], PickledTensor)
    if name != _TENSOR:
        raise NotPlainError(f"it calls {name.replace(' ', '.')}")
    storage, first, shape, strides = arguments[:4]
    storage = _expected(storage, _Storage)
    numbers = (first, *_expected(shape, tuple), *_expected(strides, tuple))
    if len(shape) != len(strides) or len(shape) > 8 or any(type(n) is not int or not 0 <= n < 2**40 for n in numbers):
        raise NotPlainError("the shape of a tensor is not valid")
    return PickledTensor(storage.key, storage.dtype, storage.numbers, first, shape, strides)


def _storage(named: Any) -> _Storage:
    kind, storage, key, _, numbers = _expected(named, tuple)
    dtype = _STORAGES.get(_expected(storage, _Global).name)
    if kind != "storage" or dtype is None or not _expected(key, str).isdigit() or type(numbers) is not int:
        raise NotPlainError("it has a storage that torch does not write")
    return _Storage(key, dtype, numbers)


def _expected(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise NotPlainError(f"it has a {type(value).__name__.strip('_')}, expected a {kind.__name__.strip('_')}")
    return value
