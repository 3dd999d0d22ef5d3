"""The server of the page: for this machine alone unless there is a password; it loads nothing from elsewhere."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentface.errors import UsageError

if TYPE_CHECKING:
    import uvicorn

    from latentface.studio.desk import Desk

LARGEST_UPLOAD = "500mb"
WAITING = 128  # connections that may wait while the server starts
#: What a browser may load for the page: from this server, and what the page itself makes.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def check_host(host: str, password: str | None) -> None:
    """Raise UsageError for an address that others can reach, unless there is a password."""
    if password is None and not is_loopback(host):
        raise UsageError(
            f"--host {host} can be reached from other machines; give --auth USER:PASSWORD, or leave it at 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def parse_auth(text: str) -> tuple[str, str]:
    """Split USER:PASSWORD; UsageError for another form, or for a password of less than 8 characters."""
    user, colon, password = text.partition(":")
    if not user or not colon or len(password) < 8:
        raise UsageError("--auth takes USER:PASSWORD, with a password of 8 characters or more")
    return user, password


Handler = Callable[[Any, Any, Any], Awaitable[None]]


class Guard:
    """ASGI middleware: accepts only requests to the server's own host name, and restricts what the page may load.

    This prevents DNS rebinding, where another site's name points at this machine. With a password, any name is
    accepted.
    """

    def __init__(self, app: Handler, hosts: tuple[str, ...] | None) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self.hosts is not None and _name(headers.get(b"host", b"")) not in self.hosts:
            await _refuse(send, "this server is reached as 127.0.0.1 or localhost")
            return
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != headers.get(b"host"):
            await _refuse(send, "requests from other sites are refused")
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self.app(scope, receive, guarded)


def _name(host: bytes) -> str:
    """The name in a Host header, without its port."""
    text = host.decode("latin-1").lower()
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


async def _refuse(send: Any, why: str) -> None:
    body = why.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def quiet_gradio() -> Iterator[Path]:
    """Keep gradio from using the network, and keep uploads in a folder that is deleted when the block ends."""
    with tempfile.TemporaryDirectory(prefix="latentface-studio-", ignore_cleanup_errors=True) as folder:
        settings = {
            "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": folder, "HF_HUB_OFFLINE": "1",
            "GRADIO_SSR_MODE": "False", "GRADIO_MCP_SERVER": "False", "GRADIO_RUN_HISTORY": "False",
        }  # fmt: skip
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            yield Path(folder)
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def make_app(desk: Desk, host: str = "127.0.0.1", auth: tuple[str, str] | None = None) -> Any:
    """The page as an ASGI application; create and serve it within `quiet_gradio`."""
    import gradio as gr
    from fastapi import FastAPI

    from latentface.studio.look import CSS, theme
    from latentface.studio.page import build_page

    check_host(host, None if auth is None else auth[1])
    page = build_page(desk)
    # gradio accepts any file of the machine as an upload, and any SVG as its own, until a page says that it is
    # served; a mounted page never does
    page.has_launched = page.is_running = True
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, hosts=(*LOCAL_NAMES, host) if auth is None else None)
    return gr.mount_gradio_app(
        app, page, path="/", server_name=host, auth=auth, max_file_size=LARGEST_UPLOAD,
        footer_links=["api", "settings"],
        run_history=False, ssr_mode=False, mcp_server=False, pwa=False, show_error=True, theme=theme(), css=CSS,
    )  # fmt: skip


def bind(host: str, port: int) -> socket.socket:
    """A socket at the address, on the first free port from `port` on (0: any); UsageError if there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in range(port, port + 100) if port else (0,):
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, number))
        except OSError:
            made.close()
            continue
        made.listen(WAITING)  # a client that is told the address at once may connect before the server has started
        return made
    raise UsageError(f"no port from {port} to {port + 99} is free on {host}; name another with --port")


def make_server(app: Any) -> uvicorn.Server:
    """What serves the application on a socket: `make_server(app).run(sockets=[bind(...)])`."""
    import uvicorn

    return uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3, server_header=False))


def warm_up() -> None:
    """Load the networks that the first photo needs, while the user is still choosing one."""
    from latentface import hub

    for load in (hub.landmark_predictor, hub.head_model, hub.head_reader, hub.mouth, hub.finders, hub.mark):
        load()
