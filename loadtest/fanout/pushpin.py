"""Bare Pushpin as a target."""

from __future__ import annotations

from typing import Any

import msgspec

from loadtest.fanout.server import Server
from stack import render


class BarePushpin(Server):
    """Pushpin with Holdfast's own tuned settings, in front of one fixed answer."""

    port_names = ("pushpin", "publish", "upstream", "push", "sub", "command", "metrics")

    def start(self) -> None:
        self.nginx("upstream", "upstream.conf")
        folder = self.folder / "pushpin"
        render.routes(folder / "routes", [f"127.0.0.1:{self.ports['upstream']}"])
        numbers = {name: self.ports[name] for name in render.PUSHPIN_PORTS if name != "http"}
        render.pushpin(
            folder,
            prefix="pushpin-",
            sig_key="of-the-probe",
            ports={"http": self.ports["pushpin"], **numbers},
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
