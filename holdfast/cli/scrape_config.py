"""`holdfast scrape-config`: what Prometheus has to ask of a stack on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from holdfast.cli.stack import dir_option, open_stack
from holdfast.errors import HoldfastError


@click.command("scrape-config")
@click.option("--interval", "interval_s", default=5, show_default=True, help="Between scrapes, s.")
@click.option(
    "--rules", type=click.Path(exists=True, dir_okay=False), help="A file of alerts to evaluate."
)
@dir_option
def scrape_config(interval_s: int, rules: str | None, folder: str) -> None:
    """Print a configuration for Prometheus that scrapes every part of the stack in --dir.

    It is JSON, which is YAML, too: prometheus --config.file=FILE takes it. Jobs are called as in
    deploy/prometheus/prometheus.yml.
    """
    try:
        jobs = open_stack(folder).scrape_jobs()
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error
    interval = f"{interval_s}s"
    config = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [] if rules is None else [str(Path(rules).resolve())],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": targets}]}
            for job, targets in jobs.items()
        ],
    }
    click.echo(json.dumps(config, indent=1))
