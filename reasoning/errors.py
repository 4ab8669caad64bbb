"""The one exception that a user's mistake raises: a single line that says what is wrong and what to do.

Scripts catch `InputError`, print its message without a stack trace and exit with status 2. Anything else that escapes is
a bug of ours.
"""


class InputError(ValueError):
    """Bad input: a wrong file, name, knob or configuration. The message is one line and ends with what to do about it."""

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).splitlines()))  # what it quotes may hold line breaks
