"""The README's commands, as they are printed."""

from __future__ import annotations

import subprocess

import pytest

from stack.layout import REPO
from tests.contract.markdown import shell_lines

CURLS = [line for line in shell_lines(REPO / "README.md") if line.startswith("curl")]


@pytest.mark.parametrize("line", CURLS)
def test_a_line_of_the_readme_does_what_it_says(stack, tls_door, line):
    here = line.replace("http://127.0.0.1:8080", stack.url)
    here = here.replace("http://127.0.0.1:7999", stack.pushpin_url)
    here = here.replace("https://127.0.0.1:8080", tls_door.url)
    here = here.replace(".holdfast/tls/certificate.pem", str(tls_door.certificate.file))
    assert here != line
    # curl ends streams itself, with 28.
    done = subprocess.run(
        ["bash", "-c", here.replace("curl ", "curl -sS --fail-with-body --max-time 3 ", 1)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == (28 if " -N " in line else 0), done.stderr
    assert "data" in done.stdout or '"name":"counter"' in done.stdout


def test_the_readme_has_lines_to_try():
    assert len(CURLS) >= 5
