"""The dashboard's server: on this machine alone, with nothing to upload to it."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import streamlit
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime.pages_manager import PagesManager

from auditor.dashboard.library import Library
from auditor.dashboard.media import picture_routes
from auditor.dashboard.memory import be_fair, be_frugal, settle
from auditor.dashboard.shared import Shared, share
from auditor.errors import AuditorError

ADDRESS = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
"""What a request's Host may say; a page elsewhere that resolves to here says another name."""


def serve(
    runs: Path, port: int, focus: str | None = None, configurations: Path | None = None
) -> None:
    """Serve the runs of a folder until interrupted.

    `focus` is the run that is shown first, and `configurations` the folder whose audits may be
    started; None for the working directory. Raises `AuditorError` where the port is taken.
    """
    _free(port)
    be_frugal()
    be_fair()
    library = Library(runs)
    share(Shared(library, focus, (configurations or Path.cwd()).resolve(), ADDRESS))
    application(library, focus).run(config={**options(), "server.port": port})


def application(library: Library, focus: str | None = None) -> streamlit.App:
    """The pages and the pictures, behind the checks that every request passes.

    The run `focus`, or the newest one, is opened once the server starts, meanwhile.
    """

    def prepare() -> None:
        library.warm(focus)
        # What every page imports, so that the first one does not wait for it.
        import_module("auditor.dashboard.desk")
        settle()

    @asynccontextmanager
    async def warm(_: streamlit.App) -> AsyncIterator[None]:
        Thread(target=prepare, daemon=True).start()
        yield

    # A folder called `pages` would make Streamlit run a page by itself where it is opened by
    # its address; the entry script, which begins every page, names them.
    PagesManager.uses_pages_directory = False
    return streamlit.App(
        entry_script(),
        lifespan=warm,
        routes=picture_routes(library),
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False),
            Middleware(_NoUploads),
        ],
    )


def options() -> dict[str, Any]:
    """What the server is started with, whatever a configuration in the working folder says.

    From the `.streamlit/config.toml` that lies beside the entry script.
    """
    file = entry_script().parent / ".streamlit" / "config.toml"
    return dict(_flat(tomllib.loads(file.read_text(encoding="utf-8"))))


def _flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def entry_script() -> Path:
    """`streamlit_app.py`: in the wheel beside this module, in a clone at the top."""
    inside = Path(__file__).with_name("app") / "streamlit_app.py"
    return inside if inside.exists() else Path(__file__).resolve().parents[2] / "streamlit_app.py"


class _NoUploads:
    """Refuses the addresses that files are uploaded to, and those that send data elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and (
            "upload_file" in scope["path"] or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        )
        if not refused:
            await self.app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"19")]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": b"nothing is uploaded"})


def _free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise AuditorError(
                f"port {port} of {ADDRESS} cannot be used ({error.strerror}); give another --port."
            ) from None
