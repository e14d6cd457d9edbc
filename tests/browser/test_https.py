"""The dashboard by https: the page, its parts and its socket."""
import subprocess

import pytest

from .conftest import wait_for
from .test_dashboard import message


@pytest.fixture
def certificate(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-keyout",
         "key.pem", "-out", "cert.pem", "-subj", "/CN=ultron.test",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_the_dashboard_and_its_socket_work_by_https(server, page,
                                                    certificate):
    server.start(certificate=certificate)
    server.send(*(message(seq, "x" * 20000) for seq in range(1, 101)))
    page.open_live()
    page.wait_cards("success", 100)
    server.send(message(101, "one more"))
    assert "one more" in page.wait_card(101)
    own = f"127.0.0.1:{server.port}/"
    asked = list(page.requests())
    assert any(url.startswith(f"wss://{own}") for url in asked)
    assert [url for url in asked if not url.startswith(
        (f"https://{own}", f"wss://{own}", "data:"))] == []
    assert page.complaints() == []


def test_the_dashboard_comes_back_by_https(server, page, certificate):
    server.start(certificate=certificate).send(message(1, "before"))
    page.open_live()
    page.wait_cards("success", 1)
    server.kill()
    wait_for(lambda: page.state() != "live", "to notice")
    server.start(certificate=certificate).send(message(2, "after"))
    assert "after" in page.wait_card(2, 30)
    page.wait_cards("success", 2)
