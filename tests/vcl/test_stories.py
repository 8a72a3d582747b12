"""The edge's rules, one story per .vtc file, told by varnishtest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stack.layout import REPO

STORIES = sorted(Path(__file__).parent.glob("*.vtc"))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_story(story):
    done = subprocess.run(
        ["varnishtest", "-t", "30", "-D", f"fastly={REPO / 'fastly'}", story],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_there_are_stories():
    assert len(STORIES) > 5
