"""Why CloudTalk's history cannot be read.

Exception
└── ApiFailure      no answer that can be used
    └── Passing     the same request may succeed later
"""


class ApiFailure(Exception):
    """CloudTalk gave no answer that can be used. `code`: a word for logs; `hint`: what a person can do."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.code = code
        self.message = message
        self.hint = hint


class Passing(ApiFailure):
    """A failure that may pass by itself."""
