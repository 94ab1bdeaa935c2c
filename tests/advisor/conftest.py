"""Fixtures of the qualification cases: a complete virtual board, and an endpoint that the test controls."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from device_under_test import THING, Device, StartDevice
from endpoint import Endpoint
from server_certificates import Certificate, make, server_context

from ujobs_tools.board.files import make_board_files
from ujobs_tools.board.image import build_image
from ujobs_tools.host.processes import running, ujobs
from ujobs_tools.keys.pki import Authority


@pytest.fixture(scope="session")
def authority() -> Certificate:
    """The CA that the board trusts."""
    return make("Root 1")


@pytest.fixture(scope="session")
def board_files(tmp_path_factory: pytest.TempPathFactory, authority: Certificate) -> dict[str, bytes]:
    """The files of a board, without the endpoint's port."""
    folder = tmp_path_factory.mktemp("thing")
    issued = Authority(folder / "pki").issue(THING)
    (folder / "cert.der").write_bytes(issued.certificate_der)
    (folder / "key.der").write_bytes(issued.private_key_der)
    (folder / "ca.der").write_bytes(authority.der)
    return make_board_files({}, folder, Path(__file__).with_name("advisor_app.py"))


@pytest.fixture
def start_device(tmp_path: Path, board_files: dict[str, bytes]) -> Iterator[StartDevice]:
    """Start a board with the settings for an endpoint; stop it at the end of the test."""
    with contextlib.ExitStack() as stack:

        def start(endpoint: Endpoint) -> Device:
            settings = {"thing": THING, "host": endpoint.host, "port": endpoint.port}
            settings |= {"app": "app", "handlers": ["reboot"]}
            image = tmp_path / "flash.img"
            build_image(image, board_files | {"settings.json": json.dumps(settings).encode()}, blocks=128)
            device = Device(tmp_path / "board.log")
            output = stack.enter_context(device.log.open("wb"))
            stack.enter_context(running(ujobs("board", image), output))
            return device

        yield start


@pytest.fixture
def endpoint(tmp_path: Path, authority: Certificate) -> Iterator[Endpoint]:
    """An endpoint without faults."""
    with Endpoint(server_context(tmp_path, make("localhost", authority, ("localhost",)))) as found:
        yield found
