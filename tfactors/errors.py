"""The one base class of errors that a user's input can cause.

Every message is one line that says what was given, what was expected and what to do; the command
line prints it without a traceback and exits with status 2, the dashboard shows it as a calm page.
"""

# Characters of a message; of what is longer the middle is left out.
LONGEST = 2000


class InputError(ValueError):
    """Something that the user gave cannot be used; the message says what to do.

    It is one line, and not for ever, whatever it quotes: the name of a column may hold a line's end
    or be as long as the file, and so may what a library says.

    >>> print(InputError("no column 'text\\x0b', but 'a\\nb'"))
    no column 'text ', but 'a b'
    """

    def __init__(self, message: object = "") -> None:
        line = " ".join(str(message).splitlines())
        if len(line) > LONGEST:
            line = f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
        super().__init__(line)
