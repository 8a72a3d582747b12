"""A function that answers WebSockets, with what it needs around it: Pushpin, an edge node, the
bridge and a few of AWS's Lambda emulators, on free ports."""

from __future__ import annotations

import sys

import requests
from prometheus_client.parser import text_string_to_metric_families

from loadtest.fanout.server import Server
from stack import commands, probes, render
from stack.layout import REPO
from stack.serverless.parts import TIMEOUT_S, parts

KEY = "what the Pushpin of the rig signs with"


class FunctionRig(Server):
    """handler: a dotted name. environments: how many of it run at once.

    timeout_s: what an invocation may take. patience_s: how long one waits for an environment: a few
    stand in for as many as Lambda would start for a crowd.
    """

    def __init__(
        self,
        handler: str,
        environments: int = 2,
        *,
        timeout_s: int = TIMEOUT_S,
        patience_s: float = 5.0,
    ) -> None:
        self._handler = handler
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._functions = [f"function-{number}" for number in range(1, environments + 1)]
        self.port_names = (
            *("pushpin", "publish", "push", "sub", "command", "metrics", "varnish"),
            *("bridge", "bridge.metrics"),
            *(port for name in self._functions for port in (name, f"{name}.runtime")),
        )

    @property
    def url(self) -> str:
        """Where WebSockets connect."""
        return f"ws://127.0.0.1:{self.ports['pushpin']}/"

    @property
    def edge_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['varnish']}/"

    def invocations(self) -> dict[str, int]:
        """Of WebSocket events, by outcome, since the start."""
        url = f"http://127.0.0.1:{self.ports['bridge.metrics']}/metrics"
        text = requests.get(url, timeout=10).text
        return {
            sample.labels["outcome"]: int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "holdfast_invocations_total" and sample.labels["kind"] == "websocket"
        }

    def start(self) -> None:
        edge, pushpin = self.folder / "edge", self.folder / "pushpin"
        bridge = f"127.0.0.1:{self.ports['bridge']}"
        render.edge(edge / "default.vcl", [bridge], service="rig", key="of-the-rig", probed=False)
        varnish = f"127.0.0.1:{self.ports['varnish']}"
        self.spawn("varnish", *commands.varnishd(edge, varnish, memory="16m"))
        render.routes(pushpin / "routes", [f"{varnish},over_http"])
        numbers = {name: self.ports[name] for name in render.PUSHPIN_PORTS if name != "http"}
        render.pushpin(
            pushpin,
            prefix="pushpin-",
            sig_key=KEY,
            ports={"http": self.ports["pushpin"], **numbers},
        )
        # The limit paces streams; a WebSocket counts against it for as long as it is open.
        conf = pushpin / "pushpin.conf"
        conf.write_text(conf.read_text().replace("max_open_requests=100", "max_open_requests=-1"))
        self.spawn("pushpin", *commands.pushpin(pushpin))
        own = {
            "GRIP_KEY": KEY,
            "PUBLISH_URL": f"http://127.0.0.1:{self.ports['publish']}/publish/",
            "PYTHONPATH": str(REPO),
        }
        for part in parts(
            self._functions,
            self.ports,
            sys.executable,
            self._handler,
            timeout_s=self._timeout_s,
            patience_s=self._patience_s,
        ):
            self.spawn(part.name, *part.command, environment={**own, **part.environment})

    def _publish_port(self) -> int:
        return self.ports["publish"]

    def _holds(self) -> bool:
        """Whether every part listens; what is no socket's gets to the function and back."""
        if not probes.tcp(self.ports["pushpin"]) or not probes.tcp(self.ports["publish"]):
            return False
        try:
            return requests.get(self.edge_url, timeout=10).status_code == 400
        except requests.RequestException:
            return False
