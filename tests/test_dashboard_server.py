"""The dashboard's server as a program: who may ask it, for what, and what it never says."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from PIL import Image
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from auditor.cli.dashboard import show
from auditor.dashboard import server
from auditor.errors import AuditorError
from auditor.store import Run
from tests.dashboards import audited, invented
from tests.test_imports import MODULES

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0  # seconds until the first page; a busy machine takes some


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Server:
    """A dashboard of two runs, `first` and `an & other`, and a secret picture beside them."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    first: Run
    other: Run

    def ask(self, path: str, host: str | None = None, method: str = "GET", **more: str) -> Answer:
        """The path goes out as it is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", f"127.0.0.1:{self.port}" if host is None else host)
            for name, value in {"Content-Length": "0", **more}.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()

    def socket(self, host: str, origin: str | None = None) -> None:
        """Open the pages' WebSocket as a browser at that host does. Raises `InvalidStatus`."""
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        with connect(
            f"ws://{host}/_stcore/stream", sock=stream, origin=origin, subprotocols=["streamlit"]
        ):
            pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    first = audited(folder / "data", folder / "runs" / "first")
    other = invented(folder / "runs" / "an & other", [{}])
    Image.new("RGB", (8, 8)).save(other.path / "x.png")
    Image.new("RGB", (8, 8)).save(folder / "secret.png")
    work = folder / "work"
    (work / ".streamlit").mkdir(parents=True)
    # What lies in the working folder must not open the server.
    (work / ".streamlit" / "config.toml").write_text(
        '[server]\naddress = "0.0.0.0"\nallowedHosts = ["*"]\nenableXsrfProtection = false\n'
        'enableStaticServing = true\n[client]\nshowErrorDetails = "full"\n'
    )
    (work / "pages").mkdir()
    port = free_port()
    command = [sys.executable, "-m", "auditor", "dashboard", str(folder / "runs")]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--no-browser"],
            cwd=work,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )
        found = Server(process, port, folder, first, other)
        try:
            begun = time.monotonic()
            while True:
                try:
                    if found.ask("/_stcore/health").status == 200:
                        break
                except OSError:
                    pass
                ended = process.poll() is not None
                if ended or time.monotonic() - begun > PATIENCE:
                    log.seek(0)
                    pytest.fail(f"no answer; it said {log.read().decode()!r}")
                time.sleep(0.1)
            yield found
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def picture(run: Run, rest: str, name: str | None = None, key: str | None = None) -> str:
    return f"/pictures/{name or run.path.name}/{key or run.key}/{rest}"


# -- who may ask ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/cases?run=first", "/_stcore/health", "/nothing"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "*"])
def test_a_foreign_host_gets_no_page(served: Server, path: str, host: str) -> None:
    answer = served.ask(path, host=host)
    assert answer.status == 400
    assert b"<html" not in answer.body


@pytest.mark.parametrize("rest", ["image/0/240", "overlay/0/margin", "outlines/0", "changed/4/0"])
def test_a_foreign_host_gets_no_picture(served: Server, rest: str) -> None:
    assert served.ask(picture(served.first, rest)).status == 200
    answer = served.ask(picture(served.first, rest), host="evil.example")
    assert answer.status == 400
    assert b"WEBP" not in answer.body


def test_its_own_names_are_answered_with_any_port(served: Server) -> None:
    for host in ("127.0.0.1", "localhost", f"localhost:{served.port}", "127.0.0.1:1"):
        answer = served.ask("/", host=host)
        assert (answer.status, b"<html" in answer.body) == (200, True)


def test_the_socket_is_open_to_its_own_page_alone(served: Server) -> None:
    own = f"127.0.0.1:{served.port}"
    served.socket(own, origin=f"http://{own}")
    for host, origin in (
        ("evil.example", None),
        (f"evil.example:{served.port}", f"http://evil.example:{served.port}"),
        (f"127.0.0.1.evil.example:{served.port}", None),
    ):
        with pytest.raises(InvalidStatus) as refused:
            served.socket(host, origin)
        assert refused.value.response.status_code in (400, 403)


def test_a_page_of_another_site_cannot_open_the_socket(served: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        served.socket(f"127.0.0.1:{served.port}", origin="http://evil.example")
    assert refused.value.response.status_code == 403


def test_another_site_is_not_allowed_to_read(served: Server) -> None:
    for path in ("/_stcore/health", "/_stcore/host-config", picture(served.first, "image/0/240")):
        answer = served.ask(path, Origin="http://evil.example")
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed not in ("*", "http://evil.example")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/", "/_stcore/upload_file/a/b", "/_stcore/health", "/component/x", "/media/x"]
)
def test_nothing_is_sent_to_it(served: Server, method: str, path: str) -> None:
    answer = served.ask(path, method=method)
    assert (answer.status, answer.body) == (403, b"nothing is uploaded")


def test_the_address_of_uploads_is_closed_to_reading_too(served: Server) -> None:
    assert served.ask("/_stcore/upload_file/a/b").status == 403
    assert served.ask(picture(served.first, "image/0/240"), method="POST").status == 403


def test_the_process_listens_on_this_machine_alone(served: Server) -> None:
    process = psutil.Process(served.process.pid)
    family = [process, *process.children(recursive=True)]
    listening = {
        (found.laddr.ip, found.laddr.port)
        for member in family
        for found in member.net_connections(kind="inet")
        if found.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", served.port)}


def test_static_files_are_not_served(served: Server) -> None:
    for path in ("/app/static/x.png", "/app/static/../secret.png"):
        answer = served.ask(path)
        assert b"PNG" not in answer.body
        assert answer.status in (400, 404) or b"<html" in answer.body


# -- pictures ------------------------------------------------------------------------------


def test_pictures_of_an_open_run_are_served_for_this_browser_alone(served: Server) -> None:
    for rest in ("image/0/240", "image/0/720", "overlay/4/margin", "outlines/4", "changed/4/0"):
        answer = served.ask(picture(served.first, rest))
        assert answer.status == 200
        assert Image.open(BytesIO(answer.body)).format == "WEBP"
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["cache-control"].startswith("private")
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'"
    head = served.ask(picture(served.first, "image/0/240"), method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_the_name_of_a_run_is_quoted_in_addresses(served: Server) -> None:
    assert served.ask(picture(served.other, "image/0/240", name="an%20%26%20other")).status == 200


def test_an_image_of_a_size_that_is_not_offered_comes_in_the_small_one(served: Server) -> None:
    small = served.ask(picture(served.first, "image/0/240")).body
    assert served.ask(picture(served.first, "image/0/100000")).body == small


KEY = "0" * 16


@pytest.mark.parametrize(
    "rest",
    [
        "image/16/240",
        "image/99999999999999999999999999/240",
        "image/-1/240",
        "image/x/240",
        "image/0/-1",
        "image/14/240",  # cannot be decoded
        "image/0",
        "image/../../secret.png",
        "image/0/../../../../secret.png",
        "overlay/0/..",
        "overlay/0/%2e%2e%2fx",
        "overlay/0/label",
        "overlay/14/margin",
        "overlay/16/margin",
        "outlines/16",
        "outlines/14",
        "changed/0/0",
        "changed/4/7",
        "changed/4/99999999999999999999",
        "changed/99/0",
        "image",
    ],
)
def test_what_a_run_does_not_have_is_not_found(served: Server, rest: str) -> None:
    refused(served, picture(served.first, rest))


def test_a_picture_is_asked_for_by_the_runs_own_name_and_key(served: Server) -> None:
    first, other = served.first, served.other
    outside = str(served.folder / "runs" / "first")
    for path in (
        picture(first, "image/0/240", key=KEY),
        picture(first, "image/0/240", key=other.key),
        picture(first, "image/0/240", name="gone"),
        picture(first, "image/0/240", name=".."),
        picture(first, "image/0/240", name="%2e%2e"),
        picture(first, "image/0/240", name="..%2fruns%2ffirst"),
        picture(first, "image/0/240", name="../runs/first"),
        picture(first, "image/0/240", name=outside.replace("/", "%2f")),
        picture(first, "image/0/240", name=outside),
        picture(first, "image/0/240", name="first%00"),
        picture(first, "image/0/240", name="first%2f"),
        picture(first, "image/0/240", name="."),
        picture(first, "image/0/240", name="%ff%fe"),
        picture(first, "image/0/240", name="x" * 300),
        "/pictures/../secret.png",
        "/pictures/%2e%2e/secret.png",
        "/pictures//etc/passwd",
        f"/pictures{served.folder}/secret.png",
    ):
        refused(served, path)


def refused(served: Server, path: str) -> None:
    """Nothing of an image comes, and no path of this machine."""
    answer = served.ask(path)
    # Streamlit answers 400 where a path climbs; what is no address of a picture at all is one of
    # a page, which is always the same.
    shell = served.ask("/").body
    assert answer.status in (400, 404) or answer.body == shell, (path, answer)
    assert b"WEBP" not in answer.body
    assert str(served.folder).encode() not in answer.body
    assert b"Traceback" not in answer.body
    assert str(ROOT).encode() not in answer.body


def test_what_goes_wrong_with_a_picture_is_a_not_found_without_a_path(served: Server) -> None:
    for rest in ("image/14/240", "outlines/14", "changed/4/7", "overlay/14/margin"):
        answer = served.ask(picture(served.first, rest))
        assert answer.status == 404
        assert answer.headers["content-type"].startswith("text/plain")
        assert b"/" not in answer.body


# -- how it is started ---------------------------------------------------------------------


def test_what_the_server_is_started_with() -> None:
    given = server.options()
    promised = {
        "server.address": "127.0.0.1",
        "server.headless": True,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
    }
    assert {name: given.get(name) for name in promised} == promised
    assert set(given["server.allowedHosts"]) == set(server.HOSTS) == {"127.0.0.1", "localhost"}
    assert given["server.maxUploadSize"] <= 1
    assert server.ADDRESS == "127.0.0.1"


def test_streamlit_knows_every_option_that_is_given() -> None:
    from streamlit import config

    known = config.get_config_options()
    assert set(server.options()) - set(known) == set()


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AuditorError, match=f"port {port} of 127.0.0.1 cannot be used"):
            server.serve(Path("runs"), port)


def test_a_run_is_shown_within_its_folder_and_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[Path, int, str | None]] = []
    monkeypatch.setattr(server, "serve", lambda *given: calls.append(given))
    run = invented(tmp_path / "runs" / "second", [{}])
    show(run.path, 8600, browser=False)
    show(tmp_path / "none", 8600, browser=False)
    assert calls == [(tmp_path / "runs", 8600, "second"), (tmp_path / "none", 8600, None)]
    assert "http://127.0.0.1:8600" in capsys.readouterr().out
    with pytest.raises(AuditorError, match="is a file"):
        show(run.path / "run.json", 8600, browser=False)


def test_entry_script_pages_and_configuration_lie_together() -> None:
    home = server.entry_script().parent
    assert server.entry_script().is_file()
    assert (home / ".streamlit" / "config.toml").is_file()
    named = re.findall(r'st\.Page\("(pages/\w+\.py)"', server.entry_script().read_text())
    assert len(named) == 8
    assert {path.name for path in (home / "pages").glob("*.py")} == {
        Path(name).name for name in named
    }


def test_a_wheel_holds_them_where_the_server_looks(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["auditor"]
    # Lay the files as the wheel does, and ask a server that is imported from there.
    site, left_out = tmp_path / "site", shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "auditor", site / "auditor", ignore=left_out)
    for source, inside in wheel["force-include"].items():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, site / inside, ignore=left_out)
        else:
            (site / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, site / inside)
    code = (
        "import json\nfrom auditor.dashboard import server\n"
        "print(json.dumps([str(server.entry_script()), sorted(server.options())]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    script, given = json.loads(out)
    home = site / "auditor" / "dashboard" / "app"
    assert script == str(home / "streamlit_app.py")
    assert given == sorted(server.options())
    assert {path.name for path in (home / "pages").iterdir()} == {
        path.name for path in (ROOT / "pages").glob("*.py")
    }


# -- quickness -----------------------------------------------------------------------------


def test_no_module_of_the_dashboard_brings_torch() -> None:
    names = [name for name in MODULES if name.startswith("auditor.dashboard")]
    assert len(names) > 20
    code = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('torch', 'torchvision')])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"


def test_the_process_that_serves_has_not_loaded_torch(served: Server) -> None:
    assert served.ask(picture(served.first, "changed/4/0")).status == 200
    maps = psutil.Process(served.process.pid).memory_maps()
    assert not [found.path for found in maps if "libtorch" in found.path]


def test_a_page_is_answered_within_seconds_of_the_start(tmp_path: Path) -> None:
    port = free_port()
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "auditor", "dashboard", str(tmp_path), "--port", str(port),
         "--no-browser"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while time.monotonic() - begun < PATIENCE and process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.05)
            finally:
                connection.close()
        # It takes less than two on a machine that does nothing else.
        assert time.monotonic() - begun < 20
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
