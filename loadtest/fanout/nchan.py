"""nchan as a target."""

from __future__ import annotations

from pathlib import Path

import click

from loadtest.fanout.server import Server

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


class Nchan(Server):
    """nchan in memory, told to deliver every message."""

    port_names = ("nchan",)

    def start(self) -> None:
        if not NCHAN.exists():
            raise click.ClickException(
                f"{NCHAN} is missing: apt-get install libnginx-mod-nchan, or --without nchan"
            )
        self.nginx("nchan", "nchan.conf", module=NCHAN, nofile=self.nofile)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['nchan']}/sub"

    def publish(self) -> int:
        version, event = self.next_release()
        # nchan writes the event itself: the data is all it takes.
        self.post("/pub", event.partition(b"data: ")[2].strip(), "text/plain")
        return version

    def _publish_port(self) -> int:
        return self.ports["nchan"]
