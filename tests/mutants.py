"""Deliberate bugs, and the test that catches each: `python -m tests.mutants [NAME ...]`.

Each bug is put into a copy of the tree; then the test that is named with it must fail there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

REPO = Path(__file__).resolve().parent.parent


class Mutant(NamedTuple):
    """`old` becomes `new` in `file`, and `test` must notice."""

    name: str
    file: str
    old: str
    new: str
    test: str


# Without hypothesis's search for the smallest example: any will do.
PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
    "--hypothesis-profile=quick-to-fail",
)
SIMULATION = "tests/simulation/test_simulation.py"
MODEL = "tests/integration/test_state_model.py"

TABS = "tests/browser/test_client.py"

MUTANTS = (
    Mutant(
        "leave the lock to a tab that hangs",
        "origin/static/tabs.js",
        "this.#queue({ steal: true });",
        "",
        f"{TABS}::test_eight_tabs_share_a_connection_and_outlive_who_has_it",
    ),
    Mutant(
        "trust a stream that brings nothing",
        "origin/static/connection.js",
        "let cancelDoubt = after(FIRST_MS, () => this.#startPolls());",
        "let cancelDoubt = () => {};",
        f"{TABS}::test_polls_stand_in_for_a_stream_that_is_gathered",
    ),
    Mutant(
        "don't refetch after a gap",
        "origin/static/holdfast.js",
        "this.#past?.fetch({ again: true })",
        "null",
        f"{TABS}::test_a_frozen_tab_comes_back_and_refetches_what_it_missed",
    ),
    Mutant(
        "skip the REWIND guard",
        "holdfast/lua/apply.lua",
        "if tonumber(known) < batch_first then",
        "if false then",
        "tests/integration/test_apply.py",
    ),
    Mutant(
        "skip the offset check",
        "holdfast/lua/apply.lua",
        "if applied >= next_offset then",
        "if false then",
        "tests/integration/test_apply.py",
    ),
    Mutant(
        "skip the offset check of keyed updates",
        "holdfast/lua/apply_each.lua",
        "if offset >= applied then",
        "if true then",
        MODEL,
    ),
    Mutant(
        "version from a counter",
        "holdfast/lua/release.lua",
        "math.max(version + 1, ms)",
        "version + 1",
        MODEL,
    ),
    Mutant(
        "a duplicate prolongs its key",
        "holdfast/lua/apply_each.lua",
        "if before and at - tonumber(before) < DAY_MS then return true end",
        'if before and at - tonumber(before) < DAY_MS then redis.call("ZADD", keys_key, at, digest)'
        " return true end",
        "tests/integration/test_apply_each.py",
    ),
    Mutant(
        "a token for everybody",
        "holdfast/lua/release.lua",
        'if wait > 0 then return {"WAIT"',
        'if wait > 1e9 then return {"WAIT"',
        "tests/integration/test_release.py",
    ),
    Mutant(
        "purge after publish",
        "publisher/announce.py",
        "        edges = list(self._edges)\n"
        "        purges = [edge.submit(keys) for edge in edges]\n"
        "        Spread(purges)\n"
        "        self._await(edges, purges)\n"
        "        publications = [announcement.publication() for announcement in batch]\n"
        "        pushpins = list(self._pushpins)\n"
        "        self._await(pushpins, "
        "[pushpin.submit(publications) for pushpin in pushpins])\n",
        "        publications = [announcement.publication() for announcement in batch]\n"
        "        pushpins = list(self._pushpins)\n"
        "        self._await(pushpins, "
        "[pushpin.submit(publications) for pushpin in pushpins])\n"
        "        edges = list(self._edges)\n"
        "        self._await(edges, [edge.submit(keys) for edge in edges])\n",
        SIMULATION,
    ),
    Mutant(
        "forget the confirm",
        "publisher/release.py",
        "        publications = self._confirms.take(now)\n",
        "        publications = self._confirms.take(now)[:0]\n",
        SIMULATION,
    ),
    Mutant(
        "a confirm that shows WebSockets nothing",
        "publisher/push.py",
        "                    message = newest.get(each.name)\n",
        "                    message = None\n",
        SIMULATION,
    ),
    Mutant(
        "send an old item again",
        "publisher/announce.py",
        "        if self.snapshot is None:\n"
        "            return Publication.confirm(self.name, self.version, text=self.text)\n",
        "        if self.snapshot is None:\n"
        "            old = Snapshot(self.name, b'0', self.version, self.version - 1)\n"
        "            items = tuple(release_items(old, text=self.text))\n"
        "            return Publication(self.name, self.version, self.text, items)\n",
        SIMULATION,
    ),
    Mutant(
        "owe an edge nothing",
        "publisher/purge.py",
        '        self._post(self._purge_url, {"Surrogate-Key": EVERYTHING})\n',
        "        return\n",
        SIMULATION,
    ),
    Mutant(
        "owe an edge that joins nothing",
        "publisher/purge.py",
        "        self.failing = True\n",
        "",
        SIMULATION,
    ),
    Mutant(
        "confirm nothing to a Pushpin that joins",
        "publisher/release.py",
        "        self._announcer.welcome(lambda: self._confirms.settled(now))\n",
        "",
        SIMULATION,
    ),
    Mutant(
        "trust a Redis that was rolled back",
        "publisher/release.py",
        "            self._state.reissue(owned.partition, forgotten)\n",
        "            pass\n",
        "tests/integration/test_publisher.py",
    ),
    Mutant(
        "release before the replay is over",
        "publisher/partitions.py",
        "        return self.position >= self.replay_to\n",
        "        return True\n",
        "tests/integration/test_publisher.py",
    ),
    Mutant(
        "an end of partition before its records",
        "publisher/loop.py",
        "        batches, ends = self._read()\n",
        "        batches, ends = self._read()\n"
        "        for partition, end in ends.items():\n"
        "            if partition in self._reading:\n"
        "                self._pass_end(self._owned[partition], end)\n",
        "tests/integration/test_publisher_model.py",
    ),
    Mutant(
        "producer without idempotence",
        "origin/produce.py",
        '"enable.idempotence": True',
        '"enable.idempotence": False',
        "tests/e2e/test_producer_retry.py",
    ),
    Mutant(
        "no purge barrier",
        "fastly/edge.vcl",
        "    call barrier;\n",
        "",
        "tests/vcl/test_stories.py",
    ),
    Mutant(
        "one key for all values",
        "holdfast/state.py",
        'f"keys:{series.name}",',
        '"keys",',
        "tests/e2e/test_idempotency.py::test_values_don_t_share_their_keys",
    ),
    Mutant(
        "relay a record again",
        "holdfast/lua/relay_append.lua",
        'if known > position then return {"REPLAY", known} end',
        "",
        "tests/integration/test_relay_append.py",
    ),
    Mutant(
        "relay past records that Redis lost",
        "holdfast/lua/relay_append.lua",
        'if known < position then return {"REWIND", known} end',
        "",
        "tests/integration/test_relay_append.py",
    ),
    Mutant(
        "a sequence from the clock alone",
        "holdfast/lua/relay_append.lua",
        "math.max(tonumber(state[2]) + 1, tonumber(ARGV[7]) + 1, now)",
        "now",
        "tests/integration/test_relay_append.py",
    ),
    Mutant(
        "a resume that does not look for gaps",
        "origin/catch_up.py",
        "if not position.reaches(entry.before):",
        "if False:",
        "tests/unit/test_catch_up.py",
    ),
    Mutant(
        "a new rate counts for the time before it",
        "holdfast/lua/bucket.lua",
        "elapsed * tonumber(old_rate) / 1e6",
        "elapsed * tonumber(rate) / 1e6",
        "tests/integration/test_release.py",
    ),
    Mutant(
        "a new burst is full at once",
        "holdfast/lua/bucket.lua",
        "  tokens = math.min(tonumber(burst), tonumber(old_burst), tokens)\n",
        "  tokens = math.min(tonumber(burst), tokens)\n"
        "  if old_burst ~= burst then tokens = tonumber(burst) end\n",
        "tests/integration/test_release.py",
    ),
    Mutant(
        "a takeover before the pause is read",
        "publisher/tuner.py",
        "return self._looked and self.seen >= self._replay_to",
        "return self._looked",
        "tests/integration/test_publisher_tuning.py",
    ),
    Mutant(
        "release by settings that others have not read",
        "holdfast/lua/release.lua",
        "if read ~= ARGV[13] then",
        "if false then",
        "tests/integration/test_publisher_tuning.py",
    ),
    Mutant(
        "the budget for who asks first",
        "holdfast/lua/budget.lua",
        "if tokens >= ahead + 1 then",
        "if tokens >= 1 then",
        "tests/integration/test_budget.py",
    ),
    Mutant(
        "settings written by several at once",
        "origin/settings_log.py",
        '"transactional.id": TRANSACTIONAL_ID,',
        '"transactional.id": f"{TRANSACTIONAL_ID}-{id(self)}",',
        "tests/e2e/test_operators.py::test_of_origins_that_write_at_once_none_overwrites_unseen",
    ),
    Mutant(
        "operators' answers shared at the edge",
        "fastly/edge.vcl",
        """    if (req.http.X-Path ~ "^/(api|console)(/|$)") {
        return (pass);
    }
""",
        "",
        "tests/vcl/test_stories.py",
    ),
    Mutant(
        "lines of events end at LF only",
        "holdfast/formats.py",
        'if b"\\n" in data or b"\\r" in data:',
        'if b"\\n" in data:',
        "tests/unit/test_events.py",
    ),
    Mutant(
        "a star shows internal topics",
        "holdfast/topics.py",
        "or topic.startswith(INTERNAL_PREFIX)",
        "",
        "tests/unit/test_topics.py",
    ),
    Mutant(
        "another site's page may change what an operator's cookie may",
        "origin/api.py",
        "not desk().sessions.is_own(session, request)",
        "False",
        "tests/integration/test_console.py",
    ),
    Mutant(
        "a session that was ended goes on",
        "origin/sessions.py",
        "return None if ended else Session(who, id, until)",
        "return Session(who, id, until)",
        "tests/integration/test_console.py",
    ),
    Mutant(
        "a client may show Pushpin's ticket",
        "origin/console.py",
        'request.args.get("ticket") if signed else None',
        'request.args.get("ticket")',
        "tests/integration/test_console.py",
    ),
    Mutant(
        "streams have to be renewed though no edge node can be reached",
        "publisher/collector.py",
        " and (reachable or not made.edges)",
        "",
        "tests/integration/test_gather.py",
    ),
)


def caught(mutant: Mutant, tree: Path) -> tuple[bool, float]:
    """Whether the test fails with the bug in, and how many seconds it took."""
    file = tree / mutant.file
    good = file.read_text()
    if good.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: its place in {mutant.file} is not there, or twice")
    file.write_text(good.replace(mutant.old, mutant.new))
    started = time.monotonic()
    try:
        done = subprocess.run(
            [*PYTEST, mutant.test],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            check=False,
        )
    finally:
        file.write_text(good)
    # 1: tests failed. Anything else, like a file that is not there, is no catch.
    return done.returncode == 1, time.monotonic() - started


def copy_tree(target: Path) -> None:
    """What git knows of the tree, and Kafka's jars."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, files):
        if (REPO / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, target / name)
    (target / "stack" / "kafka" / "libs").symlink_to(REPO / "stack" / "kafka" / "libs")


def main() -> int:
    wanted = sys.argv[1:]
    mutants = [mutant for mutant in MUTANTS if not wanted or mutant.name in wanted]
    console = Console(stderr=True)
    table = Table("deliberate bug", "test", "caught", "s", box=None)
    missed = 0
    tree = Path(tempfile.mkdtemp(prefix="holdfast-mutants-"))
    try:
        copy_tree(tree)
        for mutant in mutants:
            with console.status(mutant.name):
                good, seconds = caught(mutant, tree)
            missed += not good
            console.print(f"{mutant.name}: {'caught' if good else 'MISSED'} in {seconds:.0f} s")
            table.add_row(mutant.name, mutant.test, "yes" if good else "NO", f"{seconds:.0f}")
    finally:
        shutil.rmtree(tree)
    Console(width=140).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
