from infra.errors import LensscanError


class TrainingError(LensscanError):
    """Data or a work folder that a training cannot start from; the message says what to change."""
