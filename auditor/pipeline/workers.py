"""Processes that measure or train beside each other, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import torch


def quietly() -> None:
    """Begin a worker: leave Ctrl-C to the process that started it, and the other cores alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed outright tells its workers nothing."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
