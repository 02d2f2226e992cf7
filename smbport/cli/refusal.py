"""What a command cannot do, in words for whoever typed it."""

__all__ = ["Refusal"]


class Refusal(Exception):
    """What the user asked for cannot be done; the text says why and what to do."""
