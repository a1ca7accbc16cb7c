"""Every command of `lensscan`, as words after the program's name."""

COMMANDS = (
    ["demo"],
    ["simulate"],
    ["inject"],
    ["train"],
    ["evaluate"],
    ["score"],
    ["scan"],
    ["plan"],
    ["query"],
    ["explain"],
    ["status"],
    ["seal"],
    ["reconcile"],
    ["verify"],
    ["repair"],
    ["models", "list"],
    ["models", "show"],
    ["models", "import-published"],
    ["models", "check-maps"],
    ["models", "restate"],
)
