"""What libraries download: asked for once, so that a machine without a network learns it soon.

The Hugging Face hub's client tries six times for every file, for up to half a minute each, and
tells of every try; torchvision waits for as long as the operating system does. So whether somebody
answers is asked here first. Where nobody does, the caches alone are read. A download itself is
never cut, however slow it is.
"""

from __future__ import annotations

import importlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from auditor.models.extras import reason

_PATIENCE = 10.0  # seconds for one connection, as long as the hub's client waits
_SOON = 1.0  # seconds: who fails sooner is asked a second time,
_PAUSE = 1.0  # after so many more: a name that is looked up once more may be found
_NOISE = {
    "huggingface_hub.utils._http": ("thrown while requesting", "Retrying in "),
    "root": ("Failed to download weights for tag",),  # OpenCLIP, beside raising the same
}
"""Of each logger, what its libraries tell about a failure that Auditor's error tells."""
_SWITCH = threading.RLock()
"""Held while the hub's client is switched, which is one for all threads."""


@dataclass(frozen=True)
class Hub:
    """The Hugging Face hub, as a model was loaded from it."""

    trouble: str | None = None
    """Why it was not asked, so that its cache alone was read; null where it answered, or where
    nothing was wanted of it."""
    cache: Path | None = None
    """Where its client keeps what it has loaded; null where nothing was wanted."""

    def cause(self, error: BaseException) -> str:
        """Why loading failed, without a full stop: the network, or what the library says."""
        if self.trouble is None:
            return reason(error)
        if _is_absence(error):
            return f"{self.trouble}, and the cache {self.cache} does not hold all of it"
        return f"{reason(error)}; {self.trouble}"

    @property
    def remedy(self) -> str:
        """What else helps without a network, with a space before it; empty where it answered."""
        if self.trouble is None:
            return ""
        return (
            " Or load the model once on a machine with a network, copy its folder HF_HOME "
            "(by default ~/.cache/huggingface) to this machine, and set HF_HOME to the copy."
        )


@contextmanager
def downloading(*, wanted: bool) -> Iterator[Hub]:
    """Load from the Hugging Face hub meanwhile, or from its cache alone where it does not answer.

    Where nothing is `wanted` of it, nothing is asked and nothing changes. Otherwise its client is
    switched to its own offline mode until the end, and does not tell of its tries. Other threads
    that want something of it wait until then.
    """
    if not wanted:
        yield Hub()
        return
    constants: Any = importlib.import_module("huggingface_hub.constants")
    with _SWITCH:
        before = constants.HF_HUB_OFFLINE
        hub = Hub(_trouble_of_hub(), Path(constants.HF_HUB_CACHE))
        constants.HF_HUB_OFFLINE = hub.trouble is not None
        try:
            with _quiet():
                yield hub
        finally:
            constants.HF_HUB_OFFLINE = before


def unreachable(url: str) -> Exception | None:
    """What keeps the server of `url` from answering; None where it answers, whatever it says."""

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=_PATIENCE):  # noqa: S310 - torchvision's own
                pass
        except HTTPError as error:
            error.close()
        except HTTPException:
            pass  # it took the question and said something odd, or nothing: some do so to HEAD
        except TimeoutError:
            pass  # it took the connection, and is slow to answer

    return _asked(ask, _PATIENCE)


def _trouble_of_hub() -> str | None:
    constants = importlib.import_module("huggingface_hub.constants")
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set"
    session = importlib.import_module("huggingface_hub.utils").get_session
    patience = float(constants.HF_HUB_ETAG_TIMEOUT)

    def ask() -> None:
        try:
            session().head(constants.ENDPOINT, timeout=patience)
        except Exception as error:
            if type(error).__name__ != "ReadTimeout":  # of httpx or requests, by the hub's version
                raise

    error = _asked(ask, patience)
    return None if error is None else f"{constants.ENDPOINT} cannot be reached ({reason(error)})"


def _asked(ask: Callable[[], None], patience: float) -> Exception | None:
    """What `ask` raises; a failure is tried once more, unless it took its time.

    In a thread, since a name is looked up, and one address tried after another, without any limit.
    """
    begun = time.monotonic()
    error = _within(ask, 2 * patience)
    if error is not None and time.monotonic() - begun < _SOON:
        time.sleep(_PAUSE)
        error = _within(ask, 2 * patience)
    return error


def _within(ask: Callable[[], None], seconds: float) -> Exception | None:
    said: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - clients raise of every kind, and it is handed on
            said.put(error)
        else:
            said.put(None)

    threading.Thread(target=work, daemon=True).start()
    try:
        return said.get(timeout=seconds)
    except queue.Empty:
        return TimeoutError(f"no answer within {seconds:g} s")


def _is_absence(error: BaseException) -> bool:
    """Whether a file was wanted that is not in the cache."""
    errors = importlib.import_module("huggingface_hub.errors")
    kinds = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kinds):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' telling of tries; all their other warnings stay."""

    def shown(record: logging.LogRecord) -> bool:
        return not any(part in record.getMessage() for part in _NOISE[record.name])

    loggers = [logging.getLogger(None if name == "root" else name) for name in _NOISE]
    for logger in loggers:
        logger.addFilter(shown)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(shown)
