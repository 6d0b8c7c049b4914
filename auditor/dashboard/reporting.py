"""Reports of an open run, the last ones being kept."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from auditor.dashboard.opened import Opened
from auditor.errors import AuditorError
from auditor.report import ReportOptions, render

_KEPT = 4
_made: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
_lock = Lock()


def made(opened: Opened, format: str, options: ReportOptions, reviews: bool) -> bytes:  # noqa: A002
    """A report's file; with the verdicts that stand now, if `reviews`. Raises `AuditorError`."""
    current = opened.reviewing.current() if reviews else None
    newest = -1 if current is None or current.empty else int(current["id"].max())
    count = -1 if current is None else len(current)
    key = (opened.run.key, format, options, newest, count)
    with _lock:
        if key in _made:
            _made.move_to_end(key)
            return _made[key]
    try:
        dataset = opened.pictures.remaker().dataset if options.images and options.examples else None
    except AuditorError:
        dataset = None  # the report says why
    page = render(opened.run, format, options, current, dataset)
    with _lock:
        _made[key] = page
        while len(_made) > _KEPT:
            _made.popitem(last=False)
    return page
