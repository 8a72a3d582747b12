"""`holdfast completion`: lets a shell complete the command's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what SHELL has to read to complete this command's words.

    bash: eval "$(holdfast completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc; fish:
    holdfast completion fish > ~/.config/fish/completions/holdfast.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    main = ctx.find_root().command
    click.echo(made(main, {}, "holdfast", "_HOLDFAST_COMPLETE").source())
