"""`durableq completion SHELL`: the script by which a shell completes commands and flags."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
PROGRAM: Final = "durableq"
VARIABLE: Final = "_DURABLEQ_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes durableq's commands and flags.

    \b
    bash:  eval "$(durableq completion bash)"        in ~/.bashrc
    zsh:   eval "$(durableq completion zsh)"         in ~/.zshrc
    fish:  durableq completion fish | source         in ~/.config/fish/config.fish
    """
    made = get_completion_class(shell)
    assert made is not None, f"click completes for {shell}"
    click.echo(made(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
