"""The errors shown to people: each names the value, what was expected and what to do next."""


class EvenlyError(ValueError):
    """Invalid input or a state that a person can fix. Its text is shown unchanged, without a traceback."""


class DataError(EvenlyError):
    """A dataset that is missing, unreadable or refused."""


class TrainingError(EvenlyError):
    """Training cannot continue: a loss that is not finite, no memory, no device."""
