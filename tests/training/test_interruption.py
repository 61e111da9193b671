"""When a training that is asked to stop stops at once."""

import signal

import pytest

from liverspleen.training import interruption
from liverspleen.training.interruption import StopRequest


def test_signal_that_slurm_sends_twice_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(interruption.time, "monotonic", lambda: now)
    stop = StopRequest()
    stop._take(signal.SIGTERM, None)
    now += 0.01
    stop._take(signal.SIGTERM, None)
    assert stop.signal == signal.SIGTERM
    now += 3
    with pytest.raises(KeyboardInterrupt):
        stop._take(signal.SIGTERM, None)


def test_other_signal_in_the_meantime_asks_once_more() -> None:
    """SIGUSR1 before its time limit, then SIGTERM of the preemption: SLURM requeues, and the training need not."""
    stop = StopRequest()
    stop._take(signal.SIGUSR1, None)
    stop._take(signal.SIGTERM, None)
    assert stop.signal == signal.SIGTERM
