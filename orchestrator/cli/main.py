"""The command line. Heavy imports wait inside the commands, so that ``--help`` answers at once."""

import logging
import sys
from typing import Annotated

import typer
from rich.text import Text

from orchestrator import __version__
from orchestrator.cli.advise import advise
from orchestrator.cli.check import check
from orchestrator.cli.compare import compare
from orchestrator.cli.plan import plan_run
from orchestrator.cli.prm_eval import prm_eval
from orchestrator.cli.profile import profile
from orchestrator.cli.run import demo, resume, run
from orchestrator.cli.servers import servers
from orchestrator.cli.show import show
from orchestrator.console.exit_status import EXIT_STATUS_HELP, ExitStatus
from orchestrator.console.terminal import Terminal, TerminalLog, tolerate_any_encoding
from orchestrator.errors import OrchardError, OtherConfig

app = typer.Typer(
    name="orchard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Test-time search for language models: small policies that beat large ones. "
    "Start with `orchard demo`, which needs nothing but this machine.",
    epilog=EXIT_STATUS_HELP,
)

app.command(epilog=EXIT_STATUS_HELP)(demo)
app.command(epilog=EXIT_STATUS_HELP)(run)
app.command(epilog=EXIT_STATUS_HELP)(resume)
app.command(name="plan")(plan_run)
app.command()(show)
app.command()(check)
app.command()(compare)
app.command(epilog=EXIT_STATUS_HELP)(profile)
app.command()(advise)
app.command(epilog=EXIT_STATUS_HELP)(prm_eval)
app.add_typer(servers, name="servers")


def main() -> None:
    """The ``orchard`` command: errors become one line and a non-zero exit."""
    tolerate_any_encoding()
    logging.basicConfig(format="%(message)s", handlers=[TerminalLog()])
    logging.captureWarnings(True)
    try:
        app()
    except OrchardError as error:
        line = " ".join(str(error).split())
        said = Text.assemble(("orchard:", "bold red"), " ", line)
        console = Terminal(stderr=True, soft_wrap=True)
        console.print(said)
        if isinstance(error, OtherConfig):
            for change in error.changes:
                console.print(f"  {change}")
        sys.exit(ExitStatus.REFUSED)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        Terminal().print(f"orchard {__version__}")
        raise typer.Exit


if __name__ == "__main__":
    main()
