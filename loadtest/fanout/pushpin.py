"""Bare Pushpin as a target."""

from __future__ import annotations

from typing import Any

import msgspec

from loadtest.fanout.server import Server
from stack import configure
from stack.layout import REPO


class BarePushpin(Server):
    """Pushpin with Holdfast's own tuned settings, in front of one fixed answer."""

    port_names = ("pushpin", "publish", "upstream", "push", "sub", "command", "metrics")

    def start(self) -> None:
        self.nginx("upstream", "upstream.conf")
        folder = self.folder / "pushpin"
        for part in ("run", "log"):
            (folder / part).mkdir(parents=True)
        (folder / "routes").write_text(f"* 127.0.0.1:{self.ports['upstream']}\n")
        configure.render(
            REPO / "pushpin" / "pushpin.conf",
            folder / "pushpin.conf",
            name="pushpin",
            run=folder / "run",
            log=folder / "log",
            routes=folder / "routes",
            maxconn=configure.PUSHPIN_MAXCONN,
            open_requests=configure.PUSHPIN_OPEN_REQUESTS,
            subscriptions=configure.PUSHPIN_SUBSCRIPTIONS,
            sig_key="of-the-probe",
            http_port=self.ports["pushpin"],
            socket=folder / "run" / "http",
            **{
                f"{name}_port": self.ports[name]
                for name in self.port_names
                if name not in ("pushpin", "upstream")
            },
        )
        self.spawn("pushpin", "pushpin", f"--config={folder / 'pushpin.conf'}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['pushpin']}/"

    def publish(self) -> int:
        version, event = self.next_release()
        item: dict[str, Any] = {
            "channel": "probe",
            "formats": {"http-stream": {"content": event.decode()}},
        }
        self.post("/publish/", msgspec.json.encode({"items": [item]}), "application/json")
        return version

    def _publish_port(self) -> int:
        return self.ports["publish"]
