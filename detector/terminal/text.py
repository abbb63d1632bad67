"""Text of other people's files on a terminal: seen, never obeyed."""

import re

# Characters of a word that a message shows whole: longer paths and names are rare.
WORD_MAX = 1000
_LONG_WORD = re.compile(rf"\S{{{WORD_MAX + 1},}}")
# C0 and C1 controls and DEL start escape sequences; the bidirectional controls reorder what is read; lone surrogates
# cannot be written.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str, *, keep: str = "") -> str:
    r"""The text with every character that a terminal would obey written as its escape, such as `\x1b`.

    Args:
        text: any.
        keep: characters to leave as they are: line ends of our own table, say.
    """
    return _OBEYED.sub(lambda match: match[0] if match[0] in keep else ascii(match[0])[1:-1], text)


def shortened(text: str, most: int = 120) -> str:
    """The beginning of a text, with its length, if it has more characters than a line has room for."""
    return text if len(text) <= most else f"{text[: most - 20]}… of {len(text)} characters"


def brief(text: str) -> str:
    """A message whose words of more than WORD_MAX characters are shortened: names and numbers of broken files."""
    return _LONG_WORD.sub(lambda match: shortened(match[0], WORD_MAX // 4), text)
