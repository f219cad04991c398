"""Puts foreign text between marks, so that a model can tell where it begins and ends."""

from hashlib import sha256


def fenced(name: str, text: str) -> str:
    """The text between two marks that it cannot hold itself."""
    mark = sha256(text.encode()).hexdigest()[:12]
    return f"<{name} {mark}>\n{text}\n</{name} {mark}>"
