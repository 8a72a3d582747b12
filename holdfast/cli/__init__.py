"""The `holdfast` command."""

from __future__ import annotations

import click

from holdfast.cli import (
    accept_log,
    chaos,
    completion,
    config,
    doctor,
    hooks,
    operate,
    predict,
    produce,
    scrape_config,
    stack,
    sweep,
    top,
    values,
)


@click.group()
@click.version_option(package_name="holdfast")
def main() -> None:
    """Live values at the CDN edge."""


for command in (
    *stack.commands,
    *operate.commands,
    *values.commands,
    top.top,
    predict.predict,
    hooks.hooks,
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
