from infra.errors import LensscanError


class TrainingError(LensscanError):
    """Training cannot start from the data or the work folder; the message states what to change."""
