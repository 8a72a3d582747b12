"""The `holdfast` command."""

from __future__ import annotations

import click

from holdfast.cli import (
    accept_log,
    chaos,
    completion,
    config,
    doctor,
    operate,
    produce,
    scrape_config,
    stack,
    sweep,
)


@click.group()
@click.version_option(package_name="holdfast")
def main() -> None:
    """Live values at the CDN edge."""


for command in (
    *stack.commands,
    *operate.commands,
    produce.produce,
    accept_log.accept_log,
    config.configuration,
    doctor.doctor,
    completion.completion,
    scrape_config.scrape_config,
    chaos.chaos,
    sweep.sweep,
):
    main.add_command(command)
