"""When a training stops at once after a signal."""

import signal

import pytest

from liverspleen.training import interruption
from liverspleen.training.interruption import StopRequest


def test_signal_that_slurm_sends_twice_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(interruption.time, "monotonic", lambda: now)
    stop = StopRequest()
    stop._receive(signal.SIGTERM, None)
    now += 0.01
    stop._receive(signal.SIGTERM, None)
    assert stop.signal == signal.SIGTERM
    now += 3
    with pytest.raises(KeyboardInterrupt):
        stop._receive(signal.SIGTERM, None)


def test_another_signal_in_between_is_a_new_request() -> None:
    """SIGUSR1 before the time limit, then SIGTERM of the preemption: SLURM requeues, so the training does not."""
    stop = StopRequest()
    stop._receive(signal.SIGUSR1, None)
    stop._receive(signal.SIGTERM, None)
    assert stop.signal == signal.SIGTERM
