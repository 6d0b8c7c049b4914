"""The pictures' addresses. A browser names a run of the folder and a row; never a path."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from auditor.dashboard.library import Library
from auditor.dashboard.opened import Opened
from auditor.dashboard.pictures import SIDES
from auditor.errors import AuditorError

PREFIX = "/pictures"
_HEADERS = {
    # Photographs of people: for this browser, for a while, for no other site.
    "Cache-Control": "private, max-age=3600",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}


def image_address(opened: Opened, row: int, side: int) -> str:
    """Of an image, its longer side one of `SIDES`."""
    return f"{_start(opened)}/image/{row}/{side}"


def overlay_address(opened: Opened, row: int, which: str) -> str:
    """Of a map."""
    return f"{_start(opened)}/overlay/{row}/{which}"


def outlines_address(opened: Opened, row: int) -> str:
    """Of the regions' outlines."""
    return f"{_start(opened)}/outlines/{row}"


def changed_address(opened: Opened, row: int, number: int) -> str:
    """Of a changed image."""
    return f"{_start(opened)}/changed/{row}/{number}"


def _start(opened: Opened) -> str:
    # The key changes with the run's content, so that no stale picture is shown for another.
    return f"{PREFIX}/{quote(opened.run.path.name, safe='')}/{opened.run.key}"


def picture_routes(library: Library) -> list[Route]:
    """The routes of a folder of runs."""

    def answered(make: Callable[[Opened, Request], bytes], request: Request) -> Response:
        try:
            opened = library.open(request.path_params["run"])
            if opened.run.key != request.path_params["key"]:
                return _none("the run has been replaced; reload the page")
            return Response(make(opened, request), media_type="image/webp", headers=_HEADERS)
        except (AuditorError, IndexError) as error:
            return _none(str(error))

    def served(make: Callable[[Opened, Request], bytes]) -> Callable[[Request], Response]:
        # A plain function: the server runs it in a thread, and goes on meanwhile.
        return lambda request: answered(make, request)

    # Outlines and changed images take long, and a case has many: one at a time, so that the
    # next page is drawn meanwhile, and none for whoever has gone on to it.
    turn = Lock()

    def queued(
        make: Callable[[Opened, Request], bytes],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            async with turn:
                if await request.is_disconnected():
                    return _none("nobody waits for it")
                return await run_in_threadpool(answered, make, request)

        return endpoint

    def image(opened: Opened, request: Request) -> bytes:
        side = request.path_params["side"]
        return opened.pictures.image(_row(opened, request), side if side in SIDES else SIDES[0])

    def overlay(opened: Opened, request: Request) -> bytes:
        return opened.pictures.overlay(_row(opened, request), request.path_params["which"])

    def outlines(opened: Opened, request: Request) -> bytes:
        return opened.pictures.outlines(_row(opened, request))

    def changed(opened: Opened, request: Request) -> bytes:
        return opened.pictures.changed(_row(opened, request), request.path_params["number"])

    start = PREFIX + "/{run}/{key}"
    return [
        Route(f"{start}/image/{{row:int}}/{{side:int}}", served(image), methods=["GET"]),
        Route(f"{start}/overlay/{{row:int}}/{{which}}", served(overlay), methods=["GET"]),
        Route(f"{start}/outlines/{{row:int}}", queued(outlines), methods=["GET"]),
        Route(f"{start}/changed/{{row:int}}/{{number:int}}", queued(changed), methods=["GET"]),
    ]


def _row(opened: Opened, request: Request) -> int:
    row = int(request.path_params["row"])
    if row >= len(opened.index):
        raise IndexError(f"the run has no case {row}")
    return row


def _none(why: str) -> Response:
    # A path of this machine is nothing to send to a browser.
    return PlainTextResponse("no such picture" if "/" in why else why, 404, headers=_HEADERS)
