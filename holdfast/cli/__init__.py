"""The `holdfast` command."""

from __future__ import annotations

import click

from holdfast.cli import accept_log, chaos, config, hooks, operate, produce, stack, sweep


@click.group()
@click.version_option(package_name="holdfast")
def main() -> None:
    """Live values at the CDN edge."""


for command in (
    *stack.commands,
    *operate.commands,
    hooks.hooks,
    produce.produce,
    accept_log.accept_log,
    config.configuration,
    chaos.chaos,
    sweep.sweep,
):
    main.add_command(command)
