"""The errors a person is meant to read: each names the value, what was expected and what to do next."""


class EvenlyError(ValueError):
    """Bad input or a state that a person can mend. Its text is shown as it is, without a traceback."""


class DataError(EvenlyError):
    """A dataset that is absent, unreadable or refused."""


class TrainingError(EvenlyError):
    """Training cannot go on: a loss that is not finite, no memory, no device."""
