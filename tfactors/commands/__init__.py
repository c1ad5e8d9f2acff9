"""The commands of ``tfactors``: one file a command, its options beside what it does.

Importing a command costs nothing: a module here imports at its top what the list of commands
needs, and everything else (pandas, torch) where its options are made or where it runs.
"""

from importlib import import_module

from tfactors.commands.command import Command

# The module of every command, in the order in which 'tfactors --help' lists them.
_MODULES = {
    "build": "build",
    "import": "import_dictionary",
    "import-site": "import_site",
    "verify": "verify",
    "info": "info",
    "explain": "explain",
    "attribute": "attribute",
    "decompose": "decompose",
    "search": "search",
    "retention": "retention",
    "evaluate": "evaluate",
    "label": "label",
    "dashboard": "dashboard",
    "export": "export",
    "publish": "publish",
}


def commands() -> dict[str, Command]:
    """Return every command under its name."""
    return {
        name: import_module(f"{__name__}.{module}").COMMAND for name, module in _MODULES.items()
    }
