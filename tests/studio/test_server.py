"""The server: who may reach it, what it hands out, and the verbs by HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
import urllib.request
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from latentface.editor import FaceEditor
from latentface.errors import UsageError
from latentface.io.images import read_image
from latentface.studio import server
from tests.helpers.studio_page import LONG, Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("studio")) as made:
        yield made


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(served.address, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def ask(served: Served, path: str, **headers: str) -> tuple[int, bytes]:
    """A request whose path goes out as it is, however it is spelled."""
    where = urlsplit(served.address)
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=LONG / 1000)) as connection:
        connection.putrequest("GET", path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_this_machine_needs_no_password(host: str) -> None:
    server.check_host(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", ""])
def test_other_machines_need_a_password(host: str) -> None:
    with pytest.raises(UsageError, match="--auth USER:PASSWORD"):
        server.check_host(host, None)
    server.check_host(host, "long enough")


def test_passwords_have_a_length() -> None:
    assert server.parse_auth("me:four words: and more") == ("me", "four words: and more")
    for text in ("me", "me:", ":password1", "me:short"):
        with pytest.raises(UsageError, match="USER:PASSWORD"):
            server.parse_auth(text)


def test_the_next_free_port_is_taken() -> None:
    with server.bind("127.0.0.1", 0) as one:
        one.listen()
        number = one.getsockname()[1]
        with server.bind("127.0.0.1", number) as other:
            assert number < other.getsockname()[1] < number + 100


def test_it_listens_at_this_machine_alone(served: Served) -> None:
    ending = f":{urlsplit(served.address).port:04X}"
    found: set[str] = set()
    for _ in range(20):  # the kernel's list may miss an entry while others come and go
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if " 0A " in line]
        found |= {each for each in listening if each.endswith(ending)}
        time.sleep(0.05)
    assert found == {f"0100007F{ending}"}


def test_other_names_and_other_sites_are_refused(served: Served) -> None:
    assert ask(served, "/")[0] == 200
    assert ask(served, "/", Host="evil.example")[0] == 403
    assert ask(served, "/config", Origin="https://evil.example")[0] == 403


def test_a_page_loads_from_its_server_alone(served: Served) -> None:
    with urllib.request.urlopen(served.address) as answer:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert b"fonts.googleapis" not in answer.read()


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd", "/gradio_api/file=../../../../etc/passwd", "/file=/etc/passwd",
        "/gradio_api/file=%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/static/../../../../../etc/passwd",
        "/gradio_api/file={results}/../../../../../etc/passwd", "/gradio_api/file=file:///etc/passwd",
        "/assets/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "/gradio_api/file={root}/setup.py",
    ],
)  # fmt: skip
def test_no_other_file_is_handed_out(served: Served, path: str) -> None:
    root = Path(__file__).parents[2]
    status, body = ask(served, path.format(results=served.results, root=root))
    assert status in (400, 403, 404, 422)
    assert b"root:" not in body
    assert b"setup(" not in body


def test_a_photo_is_edited_as_the_editor_does_it(served: Served, client: Client, astronaut: Path) -> None:
    changes = {"happiness": 1.5, "yaw+": 4.0}
    made = client.predict(photo=handle_file(astronaut), changes=changes, api_name="/edit")
    assert [Path(path).name for path in made] == ["astronaut.edit.png"]
    bare = FaceEditor().edit(astronaut, changes).photo.rgb
    marked = np.abs(read_image(made[0]).astype(int) - bare)
    assert 0 < marked.max() < 16 and marked.mean() < 1
    assert (served.results / "astronaut.edit.png").is_file()


def test_the_example_of_the_manual_runs(served: Served, astronaut: Path) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "studio.md").read_text()
    example = next(part for part in manual.split("```") if "gradio_client" in part).partition("\n")[2]
    for written, meant in (("http://127.0.0.1:7860/", served.address), ("photo.jpg", str(astronaut))):
        assert written in example
        example = example.replace(written, meant)
    found: dict[str, list[str]] = {}
    exec(example, found)
    assert [Path(path).name.endswith(".edit.png") for path in found["files"]] == [True]


def test_a_clip_is_edited_by_a_program(served: Served, client: Client, film: Path) -> None:
    changes = [["Smile", 0.8, 0, None]]
    made = client.predict(clip=handle_file(film), changes=changes, api_name="/clip")
    assert [Path(path).name for path in made] == ["film.edit.mp4"]
    with pytest.raises(AppError, match="there is no emotion or control 'Nose'"):
        client.predict(clip=handle_file(film), changes=[["Nose", 1]], api_name="/clip")


def test_faces_are_listed(client: Client, two_people: Path) -> None:
    found = client.predict(photo=handle_file(two_people), api_name="/faces")
    assert [each["number"] for each in found] == [1, 2]
    assert all(np.shape(each["corners"]) == (4, 2) for each in found)


def test_two_faces_are_mixed_and_projected(client: Client, astronaut: Path) -> None:
    picture, latent = client.predict(photo=handle_file(astronaut), steps=0, api_name="/project")
    assert read_image(picture).shape == (256, 256, 3)
    sheet, mixed = client.predict(first=handle_file(latent), second=handle_file(latent), rows="0-3", api_name="/mix")
    assert read_image(sheet).shape == (256, 768, 3)
    assert Path(mixed).name.endswith(".mix.latent.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nonsense": 1}, "nonsense"), ({"yaw+": 1e9}, "yaw"), ({"happiness": "much"}, "expected numbers"),
        ([1], "expected"),
    ],
)  # fmt: skip
def test_wrong_values_are_explained(client: Client, astronaut: Path, changes: object, message: str) -> None:
    with pytest.raises(AppError, match=message):
        client.predict(photo=handle_file(astronaut), changes=changes, api_name="/edit")


def bomb(path: Path) -> Path:
    """A PNG of 60000 x 60000 pixels in 60 kB, as its header has it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(60000))) + chunk(b"IEND", b""))
    return path


def test_foreign_and_malicious_files_are_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "page.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    for path in (tmp_path / "text.png", tmp_path / "page.svg", bomb(tmp_path / "bomb.png")):
        with pytest.raises(AppError, match=r"picture|pixels|megapixels"):
            client.predict(photo=handle_file(path), changes={}, api_name="/edit")


def test_a_path_on_the_server_is_no_upload(served: Served, astronaut: Path) -> None:
    """Whoever names a file instead of uploading one gets nothing of it."""
    where = urlsplit(served.address)
    for path in ("/etc/passwd", str(astronaut)):
        body = json.dumps({"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]})
        with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=LONG / 1000)) as connection:
            connection.request("POST", "/gradio_api/call/faces", body, {"Content-Type": "application/json"})
            event = json.loads(connection.getresponse().read())["event_id"]
            connection.request("GET", f"/gradio_api/call/faces/{event}")
            told = connection.getresponse().read().decode()
        assert "event: error" in told
        assert "corners" not in told


def test_two_hundred_requests_at_once_are_answered(served: Served) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(served, "/config")[0], range(200)))
    assert answers == [200] * 200


def test_a_client_that_goes_away_stops_nothing(served: Served, client: Client, astronaut: Path) -> None:
    uploaded = client.submit(photo=handle_file(astronaut), steps=5, api_name="/project")
    uploaded.cancel()
    where = urlsplit(served.address)
    with socket.create_connection((where.hostname or "", where.port or 0)) as gone:
        gone.sendall(b"GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\n")  # and never ends
    assert len(client.predict(photo=handle_file(astronaut), api_name="/faces")) == 1
