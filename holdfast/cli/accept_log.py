"""`holdfast accept-log`: go on with a topic whose log and state don't fit together."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast import config
from holdfast.cli.stack import dir_option, open_stack
from holdfast.errors import HoldfastError, LogStartError
from holdfast.kafka import Cluster
from holdfast.log_start import start_offset
from holdfast.logs import Logs
from holdfast.state import Partition, State, connect


@click.command("accept-log")
@click.argument("topic")
@click.argument("number", metavar="PARTITION", type=click.IntRange(0))
@click.option("--yes", is_flag=True, help="Don't ask.")
@dir_option
def accept_log(topic: str, number: int, yes: bool, folder: str) -> None:
    """Go on reading a partition that the publishers refuse.

    They refuse one whose records are gone before they were applied, or that was re-created. Values
    stay what Redis has of them; what is left in the log is counted. Asks the stack in --dir, or
    else what HOLDFAST_REDIS_URL and HOLDFAST_KAFKA name.
    """
    partition = Partition(topic, number)
    try:
        redis_url, cluster = _addresses(folder)
        log = Logs(cluster).look([partition])[partition]
        state = State(connect(redis_url))
        try:
            start_offset(partition, state.known(partition), log)
        except LogStartError as fault:
            click.echo(str(fault), err=True)
            if not yes:
                click.confirm(f"Go on at offset {log.low}?", abort=True, err=True)
            state.accept_log(partition, log.low, log.topic_id)
            click.echo(f"accepted: {topic}[{number}] goes on at offset {log.low}")
        else:
            click.echo(f"{topic}[{number}] needs no repair")
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error


def _addresses(folder: str) -> tuple[str, Cluster]:
    if (Path(folder) / "stack.json").exists():
        stack = open_stack(folder)
        return stack.redis_url, Cluster(stack.kafka)
    settings = config.load()
    return settings.redis_url, settings.cluster
