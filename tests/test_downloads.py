"""Models that have to be downloaded: soon refused without a network, and loaded over a slow one."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

import auditor
from auditor.errors import ModelError
from auditor.models import downloads
from auditor.models.downloads import Hub, downloading, unreachable
from tests.conftest import seeded

WHY = "an optional extra: pip install 'auditor[timm,transformers,clip]'"
HEAD = '[dataset]\npath = "none.csv"\nformat = "manifest"\n[model]\n'


@contextmanager
def hanging_up(*, heard: bool = False) -> Iterator[tuple[str, list[None]]]:
    """The address of a server that resets every connection, and an item for each.

    Or one that has `heard` the question, and ends the connection without a word.
    """
    met: list[None] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    met.append(None)
                    if heard:
                        connection.recv(1 << 16)
                    else:
                        reset = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", met
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@contextmanager
def serving(folder: Path, slow: float = 0.0) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub that has one model, `some/model`, in `folder`; and what it was asked.

    It takes `slow` seconds for every answer, and as long between the halves of a file.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            asked.append(f"{self.command} {self.path}")
            time.sleep(slow)
            place, _, name = self.path.partition("/resolve/main/")
            file = folder / name
            if self.path == "/":
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif place == "/some/model" and name and file.is_file():
                data = file.read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("ETag", f'"{len(data):x}"')
                self.send_header("X-Repo-Commit", "a" * 40)
                self.end_headers()
                if body:
                    self.wfile.write(data[: len(data) // 2])
                    time.sleep(slow)
                    self.wfile.write(data[len(data) // 2 :])
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join(5)


@pytest.fixture
def constants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Those of the hub's client, with an empty cache, asking the network."""
    found = pytest.importorskip("huggingface_hub.constants", reason=WHY)
    monkeypatch.setattr(found, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(found, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "_PAUSE", 0.01)
    return found


@pytest.mark.parametrize(
    ("package", "lines", "local"),
    [
        ("timm", 'architecture = "timm/resnet10t"\nweights = "default"\n', "model.checkpoint"),
        ("transformers", 'architecture = "transformers/some/model"\n', "a local folder"),
        (
            "open_clip",
            'architecture = "open_clip/RN50"\nweights = "openai"\nclasses = ["a", "b"]\n'
            "[model.prompts]\n",
            "a local state dict",
        ),
    ],
)
def test_without_a_network_the_hub_is_asked_twice(
    constants, monkeypatch, tmp_path, capfd, package, lines, local
):
    pytest.importorskip(package, reason=WHY)
    (tmp_path / "audit.toml").write_text(HEAD + lines, encoding="utf-8")
    with hanging_up() as (address, met):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("https://huggingface.co", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        with pytest.raises(ModelError) as caught:
            auditor.load_classifier(tmp_path / "audit.toml")
    assert len(met) <= 2  # its client alone tries six times for every file
    told = str(caught.value)
    name = lines.split('"')[1]
    assert name in told
    assert f"{address} cannot be reached (" in told
    assert f"the cache {tmp_path / 'cache'} does not hold all of it" in told
    assert local in told
    assert "set HF_HOME to the copy" in told
    assert "etry" not in (out := "".join(capfd.readouterr()))
    assert "thrown while" not in out
    assert "Failed to download" not in out
    assert constants.HF_HUB_OFFLINE is False


def test_a_wish_for_no_connection_is_named(constants, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with downloading(wanted=True) as hub:
        assert hub.trouble == "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set"
    assert constants.HF_HUB_OFFLINE is True


def test_other_failures_keep_their_own_words():
    assert Hub().cause(ValueError("no such tag.\nmore")) == "no such tag"
    assert Hub().remedy == ""
    assert (
        Hub("nobody is there").cause(ValueError("no such tag.")) == "no such tag; nobody is there"
    )


def test_nothing_is_asked_for_local_files(monkeypatch, tmp_path):
    transformers = pytest.importorskip("transformers", reason=WHY)
    monkeypatch.setattr(downloads, "_trouble_of_hub", lambda: pytest.fail("asks the hub"))
    small_vit(transformers, tmp_path / "here")
    lines = 'architecture = "transformers/here"\n'
    (tmp_path / "audit.toml").write_text(HEAD + lines, encoding="utf-8")
    assert auditor.load_classifier(tmp_path / "audit.toml").classes == ("warm", "cold")


def test_only_the_telling_of_tries_is_silenced(constants, monkeypatch, tmp_path, caplog):
    told = logging.getLogger("huggingface_hub.utils._http")
    monkeypatch.setattr(told.parent.parent, "propagate", True)
    with serving(tmp_path) as (address, _):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        with downloading(wanted=True) as hub:
            assert hub == Hub(None, tmp_path / "cache")
            told.warning("'no' thrown while requesting HEAD http://there")
            told.warning("Retrying in 1s [Retry 1/5].")
            logging.getLogger().error("Failed to download weights for tag 'x': no")
            told.warning("a token is needed")
            logging.getLogger().warning("the weights want QuickGELU")
    told.warning("Retrying in 2s [Retry 1/5].")
    assert [record.getMessage() for record in caplog.records] == [
        "a token is needed",
        "the weights want QuickGELU",
        "Retrying in 2s [Retry 1/5].",
    ]


def test_threads_do_not_leave_the_client_switched(constants, monkeypatch):
    monkeypatch.setattr(downloads, "_trouble_of_hub", lambda: "nobody is there")
    began, end, met = threading.Event(), threading.Event(), []

    def first() -> None:
        with downloading(wanted=True):
            began.set()
            end.wait(10)

    def second() -> None:
        met.append("asks")
        with downloading(wanted=True):
            met.append(constants.HF_HUB_OFFLINE)
            end.wait(10)
            threads[0].join(10)

    threads = [threading.Thread(target=one, daemon=True) for one in (first, second)]
    threads[0].start()
    assert began.wait(10)
    threads[1].start()
    time.sleep(0.2)
    assert met == ["asks"]  # and waits
    with downloading(wanted=False) as hub:  # which waits for nobody
        assert hub == Hub()
    end.set()
    for thread in threads:
        thread.join(10)
    assert met == ["asks", True]
    assert constants.HF_HUB_OFFLINE is False


def test_a_thread_does_not_wait_for_itself(constants, monkeypatch):
    monkeypatch.setattr(downloads, "_trouble_of_hub", lambda: None)

    def nested() -> None:
        with downloading(wanted=True), downloading(wanted=True):
            pass

    thread = threading.Thread(target=nested, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


# -- a slow network ---------------------------------------------------------------------------


def small_vit(transformers: Any, folder: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=32, patch_size=8, id2label={0: "warm", 1: "cold"},
    )  # fmt: skip
    with seeded():
        transformers.ViTForImageClassification(config).save_pretrained(folder)
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")


def loaded(folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    """`some/model` of a hub, loaded in a process of its own, to which an answer in 1 s is late."""
    code = "import auditor, sys; print(*auditor.load_classifier(sys.argv[1]).classes)"
    own = {"HF_ENDPOINT": address, "HF_HOME": str(folder / "home"), "HF_HUB_ETAG_TIMEOUT": "1"}
    own |= {"HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-c", code, str(folder / "audit.toml")],
        env=os.environ | own, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_over_a_slow_network_and_then_from_the_cache(tmp_path):
    transformers = pytest.importorskip("transformers", reason=WHY)
    small_vit(transformers, tmp_path / "hub")
    lines = 'architecture = "transformers/some/model"\n'
    (tmp_path / "audit.toml").write_text(HEAD + lines, encoding="utf-8")
    with serving(tmp_path / "hub", slow=0.15) as (address, asked):
        first = loaded(tmp_path, address)
    assert first.stdout == "warm cold\n", first.stderr
    assert "GET /some/model/resolve/main/model.safetensors" in asked
    with hanging_up() as (nobody, met):
        second = loaded(tmp_path, nobody)
    assert second.stdout == "warm cold\n", second.stderr
    assert len(met) <= 2
    assert "Retry" not in second.stderr


def test_a_server_that_takes_its_time_is_there(constants, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 1)
    monkeypatch.setattr(downloads, "_PATIENCE", 1)
    with serving(tmp_path, slow=1.5) as (address, asked):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        with downloading(wanted=True) as hub:
            assert hub.trouble is None
            assert constants.HF_HUB_OFFLINE is False
        assert asked == ["HEAD /"]
        assert unreachable(f"{address}/weights.pth") is None


def test_a_lookup_without_end_is_given_up():
    done = threading.Event()
    error = downloads._within(done.wait, 0.05)
    done.set()
    assert isinstance(error, TimeoutError)
    assert str(error) == "no answer within 0.05 s"


# -- torchvision --------------------------------------------------------------------------------


def test_a_server_is_reached_whatever_it_says(monkeypatch, tmp_path):
    monkeypatch.setattr(downloads, "_PAUSE", 0.01)
    with serving(tmp_path) as (address, _):
        assert unreachable(f"{address}/nothing") is None  # 404
    with hanging_up() as (address, met):
        assert unreachable(address) is not None
        assert len(met) == 2
    with hanging_up(heard=True) as (address, met):
        assert unreachable(address) is None
        assert len(met) == 1
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "refused" in str(unreachable(f"http://127.0.0.1:{port}")).lower()


def test_torchvision_does_not_begin_a_download_that_nobody_answers(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: pytest.fail("downloads"))
    nobody = OSError("nobody is there")
    monkeypatch.setattr("auditor.models.architectures.unreachable", lambda _: nobody)
    lines = 'architecture = "squeezenet1_1"\nweights = "IMAGENET1K_V1"\n'
    (tmp_path / "audit.toml").write_text(HEAD + lines, encoding="utf-8")
    with pytest.raises(ModelError, match="could not be downloaded \\(nobody is there\\)"):
        auditor.load_classifier(tmp_path / "audit.toml")
