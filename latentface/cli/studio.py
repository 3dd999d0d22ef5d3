"""`latentface studio`: the page in the browser."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentface.cli.command import NETWORKS, Command, flag
from latentface.cli.flags import device_flag, network_flag, report_flags, seed_flag
from latentface.cli.report import Report
from latentface.errors import UsageError

if TYPE_CHECKING:
    import uvicorn

OUTPUT = Path("latentface-studio")


@click.command(cls=Command, short_help="Edit faces on a page in the browser.")
@flag(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=OUTPUT, show_default=True,
    help="Folder of the results; nothing in it is overwritten.",
)  # fmt: skip
@flag("--host", default="127.0.0.1", show_default=True, section=NETWORKS, help="Address to listen on.")
@flag(
    "--port", type=click.IntRange(0, 65535), default=7860, show_default=True, section=NETWORKS,
    help="Port to listen on; if it is taken, the next free one. 0 means any.",
)  # fmt: skip
@flag(
    "--auth", metavar="USER:PASSWORD", envvar="LATENTFACE_STUDIO_AUTH", section=NETWORKS,
    help="Ask for this password; required for an address that other machines can reach. It can also be set in "
    "LATENTFACE_STUDIO_AUTH.",
)  # fmt: skip
@flag("--browser/--no-browser", default=True, show_default=True, help="Open the page in the browser.")
@network_flag
@device_flag
@seed_flag
@report_flags
def studio(
    report: Report, output: Path, host: str, port: int, auth: str | None, browser: bool, network: str, device: str,
    seed: int,
) -> None:  # fmt: skip
    """Serve a page for editing photos on this machine, and open it in the browser.

    Photos stay on this machine, and nothing is loaded from elsewhere. Programs can call the endpoints of the page.
    Stop it with Ctrl+C.
    """
    if importlib.util.find_spec("gradio") is None:
        raise UsageError("the page needs gradio: pip install 'latentface[ui]'")

    from latentface.studio import server

    login = None if auth is None else server.parse_auth(auth)
    server.check_host(host, None if login is None else login[1])
    began = time.perf_counter()
    with server.quiet_gradio() as scratch:
        from latentface.studio.desk import Desk, Shared
        from latentface.studio.results import Results
        from latentface.studio.work import Workshop

        desk = Desk(Workshop(network, Results(output.resolve()), seed, device), Shared(scratch))
        app = server.make_app(desk, host, login)
        socket = server.bind(host, port)
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{socket.getsockname()[1]}/"
        report.say(f"latentface studio: {address} (results in {output}; Ctrl+C stops it)")
        report.result(
            {
                "command": "studio", "address": address, "output": str(output), "network": network,
                "seconds": round(time.perf_counter() - began, 3), "exit_code": 0,
            }
        )  # fmt: skip
        threading.Thread(target=server.warm_up, daemon=True).start()
        served = server.make_server(app)
        if browser:
            threading.Thread(target=_open, args=(served, address), daemon=True).start()
        try:
            served.run(sockets=[socket])
        finally:
            desk.queue.close()


def _open(served: uvicorn.Server, address: str) -> None:
    """Open the page once the server answers."""
    import webbrowser

    while not served.started and not served.should_exit:
        time.sleep(0.05)
    webbrowser.open(address)
