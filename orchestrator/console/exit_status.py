"""What the ``orchard`` command tells the shell."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """FINISHED only where every problem of every cell is finished.

    REFUSED: the command could not do what it was asked for, and says why in one line. USAGE: an
    option or argument it does not have. UNFINISHED: a budget or an endpoint ended the run before
    all problems were done; it prints the command that continues. STOPPED: by Ctrl-C or SIGTERM.
    """

    FINISHED = 0
    REFUSED = 1
    USAGE = 2
    UNFINISHED = 3
    STOPPED = 130


EXIT_STATUS_HELP = (
    "Exit status: 0 every problem of every cell is finished; 1 refused or failed, with the reason "
    "in one line; 2 no such option; 3 unfinished: a budget ran out or problems failed, and the "
    "command that continues is printed; 130 stopped by Ctrl-C or SIGTERM."
)
