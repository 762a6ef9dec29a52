"""Words that tables and sentences share."""


def age_text(seconds: int) -> str:
    """A time in its largest whole unit.

    >>> age_text(61), age_text(7200)
    ('1 minute', '2 hours')
    """
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {plural(unit, count)}"
    return f"{seconds} {plural('second', seconds)}"


def plural(word: str, count: int) -> str:
    """A word with an ``s`` where there is not one of it."""
    return word if count == 1 else f"{word}s"


def one_line(text: str | None) -> str:
    """A token's own words, without what would disturb a terminal."""
    return "".join(character for character in " ".join((text or "").split()) if character.isprintable())
