"""What a factor is called: the label that its bundle gives it, else its commonest words."""

from tfactors.bundle import Bundle
from tfactors.describe.labels import label_parts
from tfactors.display import passages

TITLE_WORDS = 4


def own_words(bundle: Bundle, factor: int) -> list[str]:
    """Return the words that a bundle calls a factor by: its label, else its commonest words."""
    labels, words = bundle.labels_and_words
    if label := labels[factor].strip():
        return label_parts(label)[:TITLE_WORDS]
    return list(dict.fromkeys(word.casefold() for word in words[factor]))[:TITLE_WORDS]


def short_name(factor: int, parts: list[str]) -> str:
    """Return a number and words in one short line of plain text: 30 · left / leave."""
    longest = 24 if len(parts) > 1 else 60  # letters; a pattern is one part
    words = " / ".join(passages.shorten(word, longest) for word in parts[:3])
    return f"{factor} · {words}" if words else str(factor)
