"""`holdfast produce`: append a record to a Kafka topic of the stack."""

from __future__ import annotations

import click

from holdfast.cli.stack import dir_option, open_stack


@click.command()
@click.argument("topic")
@click.argument("text")
@click.option("--key", help="The record's key: on `updates`, the value's name.")
@dir_option
def produce(topic: str, text: str, key: str | None, folder: str) -> None:
    """Append TEXT to TOPIC.

    For example: holdfast produce ticks '{"price": 42.5}' --key BTC
    """
    open_stack(folder).produce(topic, text, key)
