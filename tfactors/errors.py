"""The one base class of errors that a user's input can cause.

Every message is one line that says what was given, what was expected and what to do; the command
line prints it without a traceback and exits with status 2, the dashboard shows it as a calm page.
"""


class InputError(ValueError):
    """Something that the user gave cannot be used; the message says what to do."""
