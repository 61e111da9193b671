"""Folders of the cache are complete or absent; incomplete ones are removed without harm to running processes."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from liverspleen import locks
from liverspleen.data import atomic_folders
from liverspleen.data.atomic_folders import clear_parts, complete_folder, exclusive_use, in_use


def die_half_way(folder: Path) -> None:
    with complete_folder(folder) as part:
        (part / "case.json").write_text("{}")
        (part / "slices.npy").write_bytes(bytes(100))
        os.kill(os.getpid(), signal.SIGKILL)


def use_until_killed(cache: Path, ready: Event) -> None:
    with in_use(cache):
        ready.set()
        time.sleep(600)


def killed(folder: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=die_half_way, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def names(cache: Path) -> list[str]:
    """Names in the cache except those of lock files."""
    return sorted(file.name for file in cache.iterdir() if not file.name.startswith((".lock", ".use-")))


def uses(cache: Path) -> int:
    return len(list(cache.glob(".use-*")))


def test_folder_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with complete_folder(tmp_path / "cache" / "a") as part:
        (part / "case.json").write_text("{}")
        assert not (tmp_path / "cache" / "a").exists()
    assert names(tmp_path / "cache") == ["a"]
    assert (tmp_path / "cache" / "a" / "case.json").read_text() == "{}"


def test_files_and_both_folders_are_synced_around_the_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    sync, rename = os.fsync, Path.rename
    monkeypatch.setattr(
        "os.fsync", lambda handle: (events.append(Path(f"/proc/self/fd/{handle}").readlink().name), sync(handle))[1]
    )
    monkeypatch.setattr(Path, "rename", lambda one, other: (events.append("rename"), rename(one, other))[1])
    with complete_folder(tmp_path / "a") as part:
        (part / "case.json").write_text("{}")
    assert events == ["case.json", part.name, "rename", tmp_path.name]


def test_part_of_a_killed_process_is_removed_and_its_bytes_are_returned(tmp_path: Path) -> None:
    killed(tmp_path / "a")
    assert len(names(tmp_path)) == 1
    assert clear_parts(tmp_path) == 102  # "{}" and 100 bytes
    assert names(tmp_path) == []


def test_part_of_a_process_at_work_stays(tmp_path: Path) -> None:
    with complete_folder(tmp_path / "a") as part:
        (part / "case.json").write_text("{}")
        assert clear_parts(tmp_path) == 0
        assert part.is_dir()
    assert names(tmp_path) == ["a"]


def test_lock_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes it for that of a killed process between its creation and its lock."""
    lock, moments = locks.lock_descriptor, iter(["first", "second"])

    def disturbed(descriptor: int, *, blocking: bool = True) -> bool:
        moment = next(moments, None)
        (file,) = tmp_path.glob(".use-*") if moment else (None,)
        if moment == "first":
            file.unlink()
        elif moment == "second":
            other = os.open(file, os.O_RDWR)
            assert lock(other, blocking=False)
            try:
                return lock(descriptor, blocking=blocking)
            finally:
                file.unlink()
                os.close(other)
        return lock(descriptor, blocking=blocking)

    monkeypatch.setattr(locks, "lock_descriptor", disturbed)
    with complete_folder(tmp_path / "a") as part:
        (part / "case.json").write_text("{}")
        assert next(moments, None) is None
        assert uses(tmp_path) == 1
        assert clear_parts(tmp_path) == 0
    assert names(tmp_path) == ["a"]
    assert uses(tmp_path) == 0


def test_file_of_an_ended_use_is_removed_before_its_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".use-killed").touch()
    close, there = os.close, []

    def closed(descriptor: int) -> None:
        there.append(uses(tmp_path))
        close(descriptor)

    monkeypatch.setattr(atomic_folders.os, "close", closed)
    with exclusive_use(tmp_path) as alone:
        assert alone
    assert there[0] == 0


def test_the_first_of_two_that_make_the_same_folder_stays(tmp_path: Path) -> None:
    with complete_folder(tmp_path / "a") as slow:
        (slow / "case.json").write_text("slow")
        with complete_folder(tmp_path / "a") as quick:
            (quick / "case.json").write_text("quick")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a" / "case.json").read_text() == "quick"


def test_many_that_make_and_clear_at_once_do_no_harm(tmp_path: Path) -> None:
    issues: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                clear_parts(tmp_path)
                with complete_folder(tmp_path / f"{number % 2}-{turn}") as part:
                    (part / "case.json").write_text("{}")
        except BaseException as error:
            issues.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issues == []
    assert names(tmp_path) == sorted(f"{number}-{turn}" for number in (0, 1) for turn in range(20))
    assert all((folder / "case.json").read_text() == "{}" for folder in tmp_path.iterdir())


def test_use_of_a_cache_clears_half_written_files_unless_another_process_uses_it(tmp_path: Path) -> None:
    (tmp_path / ".part-1-run.json").write_text("{")
    with in_use(tmp_path):
        assert names(tmp_path) == []
        (tmp_path / ".part-2-run.json").write_text("{")  # of the process that uses it
        with in_use(tmp_path):
            assert names(tmp_path) == [".part-2-run.json"]


def test_a_cache_is_exclusive_only_while_no_other_process_uses_it(tmp_path: Path) -> None:
    with in_use(tmp_path), exclusive_use(tmp_path) as alone:
        assert not alone
    with exclusive_use(tmp_path) as alone:
        assert alone


def test_a_use_ends_when_its_process_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=use_until_killed, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    with exclusive_use(tmp_path) as alone:
        assert not alone
    process.kill()
    process.join()
    assert uses(tmp_path) == 1
    with exclusive_use(tmp_path) as alone:
        assert alone
    assert uses(tmp_path) == 0


def test_uses_are_counted_by_process_and_end_in_any_order(tmp_path: Path) -> None:
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(in_use(tmp_path))
        second.enter_context(in_use(tmp_path))
        assert uses(tmp_path) == 2
        first.close()
        with exclusive_use(tmp_path) as alone:
            assert not alone
        second.close()
        with exclusive_use(tmp_path) as alone:
            assert alone


def test_a_use_waits_until_pruning_has_ended(tmp_path: Path) -> None:
    entered = threading.Event()

    def use() -> None:
        with in_use(tmp_path):
            entered.set()

    with exclusive_use(tmp_path) as alone:
        assert alone
        thread = threading.Thread(target=use)
        thread.start()
        assert not entered.wait(0.3)
        with exclusive_use(tmp_path) as another:
            assert not another
    assert entered.wait(60)
    thread.join()


def without_locks(*_: object, **__: object) -> bool:
    raise OSError(95, "Operation not supported")


def test_where_nothing_can_be_locked_folders_are_made_and_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(tmp_path / "a")
    monkeypatch.setattr(locks, "lock_descriptor", without_locks)
    with in_use(tmp_path), complete_folder(tmp_path / "b") as part:
        (part / "case.json").write_text("{}")
    with exclusive_use(tmp_path) as alone:
        assert not alone
    assert [name[:6] for name in names(tmp_path)] == [".part-", "b"]
    assert uses(tmp_path) == 1  # of the killed process


def test_cache_that_may_not_be_written_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Callable[..., int] = os.open

    def read_only(path: Path, flags: int, *more: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(30, "Read-only file system")
        return whole(path, flags, *more)

    monkeypatch.setattr(locks.os, "open", read_only)
    with in_use(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
