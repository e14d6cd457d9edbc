"""An answer {"ok": false, "error": …}, raised."""


class SlackError(Exception):
    """An answer {"ok": false, "error": …, more members}."""

    def __init__(self, error, **members):
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **members}
