"""A text as a shell splits it: quotes, line ends after a backslash, comments, here-documents, redirections.

Nothing is executed. What a shell would put in (`$1`, `${batch}`, `$(command)`) stays as it is written, between the
marks of `convert.atc.line`; bash's manual, sections 3.1 and 3.6.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from convert.atc.line import UNSEEN_END, UNSEEN_START
from detector.errors import SpecError

_EXPANSION = re.compile(r"\$[A-Za-z_]\w*|\$[0-9@*#?$!-]")
_BRACKETS = {"${": "{}", "$(": "()"}
_ESCAPED = re.compile(r'\\([$`"\\])')
_IN_QUOTES = re.compile(rf'[^"\\$`{UNSEEN_START}]+')


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or an operator between commands.

    Attributes:
        text: of the word, without its quotes; of the operator.
        line: where it starts, from 1.
        operator: `;`, `&&`, `(`, the end of a line and so on.
        cuts: an operator `;` in mid-word, such as that of a list without quotes.
    """

    text: str
    line: int
    operator: bool = False
    cuts: bool = False


def shell_tokens(text: str) -> list[Token]:
    """Split a text; what stands between the marks of `convert.atc.line` already is left as it is.

    Raises:
        SpecError: a quote or bracket is never closed; its line is named.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._word: list[str] | None = None
        self._word_line = 1
        self._target: str | None = None  # of a redirection, the next word is no argument
        self._documents: list[str] = []
        self._tokens: list[Token] = []

    def read(self) -> list[Token]:
        while self._at < len(self._text):
            if not self._expansion():
                self._step()
        self._end_word()
        return self._tokens

    def _step(self) -> None:
        for pattern, kind in _UNQUOTED:
            match = pattern.match(self._text, self._at)
            if match and not (self._word is not None and pattern.pattern in (_COMMENT, _NUMBERED)):
                self._move(match.end())
                kind(self, match)
                return

    def _move(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _add(self, text: str, lines: int = 0) -> None:
        if self._word is None:
            self._word, self._word_line = [], self._line - lines
        self._word.append(text)

    def _blank(self, _: re.Match[str]) -> None:
        self._end_word()

    def _nothing(self, _: re.Match[str]) -> None:
        pass

    def _literal(self, match: re.Match[str]) -> None:
        text = match[match.lastindex or 0]
        self._add(text, text.count("\n"))

    def _redirect(self, match: re.Match[str]) -> None:
        self._end_word()
        self._target = match[0].lstrip("0123456789")

    def _operator(self, match: re.Match[str]) -> None:
        self._end_word()
        self._target = None
        cuts = match[0] == ";" and self._text[self._at : self._at + 1].strip() != ""
        self._tokens.append(Token(match[0], self._line, operator=True, cuts=cuts))

    def _newline(self, match: re.Match[str]) -> None:
        self._end_word()
        self._tokens.append(Token(match[0], self._line - 1, operator=True))
        for end in self._documents:
            found = re.compile(rf"^\t*{re.escape(end)}\r?$", re.MULTILINE).search(self._text, self._at)
            self._move(found.end() if found else len(self._text))
        self._documents.clear()

    def _end_word(self) -> None:
        if self._word is not None and self._target is None:
            self._tokens.append(Token("".join(self._word), self._word_line))
        elif self._word is not None:
            if self._target in ("<<", "<<-"):
                self._documents.append("".join(self._word))
            self._target = None
        self._word = None

    def _expansion(self) -> bool:
        """Take what a shell puts in, if that is next."""
        start = self._at
        if self._text[start] == UNSEEN_START:
            end = self._text.index(UNSEEN_END, start) + 1
            self._add(self._text[start:end])
            self._move(end)
            return True
        pair = _BRACKETS.get(self._text[start : start + 2])
        simple = _EXPANSION.match(self._text, start)
        if pair:
            end = self._closing(start + 1, pair)
        elif self._text[start] == "`":
            end = self._closing(start + 1, "``")
        elif simple:
            end = simple.end()
        else:
            return False
        self._add(f"{UNSEEN_START}{self._text[start:end]}{UNSEEN_END}")
        self._move(end)
        return True

    def _closing(self, start: int, pair: str) -> int:
        depth = 0
        skipped = r"\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*'|" if pair != "``" else r"\\.|"
        for match in re.compile(skipped + f"[{re.escape(pair)}]", re.DOTALL).finditer(self._text, start):
            if match[0] in pair:
                depth += 1 if match[0] == pair[0] != pair[1] else -1
                if depth <= 0:
                    return match.end()
        raise self._unclosed(self._text[start - 1 : start + 1] if pair != "``" else "`")

    def _quoted(self, _: re.Match[str]) -> None:
        """What follows a double quote, to its end."""
        self._add("")
        begun = self._line
        while self._at < len(self._text):
            if self._text[self._at] == '"':
                self._at += 1
                return
            if not self._expansion():
                self._quoted_text()
        self._line = begun
        raise self._unclosed('"')

    def _quoted_text(self) -> None:
        plain = _IN_QUOTES.match(self._text, self._at)
        escaped = _ESCAPED.match(self._text, self._at)
        if plain:
            self._add(plain[0])
            self._move(plain.end())
        elif escaped:
            self._add(escaped[1])
            self._at += 2
        elif self._text.startswith("\\\n", self._at):
            self._move(self._at + 2)
        else:
            self._add(self._text[self._at])
            self._at += 1

    def _unclosed_single(self, _: re.Match[str]) -> None:
        raise self._unclosed("'")

    def _unclosed(self, opening: str) -> SpecError:
        return SpecError(f"line {self._line}: {opening} is never closed; a shell would not run it: close it")


_REDIRECTION = r"(?:>>|>&|>\||<<<|<<-?|<>|<&|[<>])"
# A # or a number inside a word is part of it.
_COMMENT, _NUMBERED = r"#[^\n]*", rf"\d+{_REDIRECTION}"
_UNQUOTED: tuple[tuple[re.Pattern[str], Callable[[_Reader, re.Match[str]], None]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (r"\\\r?\n", _Reader._nothing),
        (r"[ \t\r\f\v]+", _Reader._blank),
        (r"\n", _Reader._newline),
        (_COMMENT, _Reader._nothing),
        (_NUMBERED, _Reader._redirect),
        (rf"&>>?|{_REDIRECTION}", _Reader._redirect),
        (r"&&|\|\||;;|[;&|()]", _Reader._operator),
        (r"\$?'([^']*)'", _Reader._literal),
        (r"'", _Reader._unclosed_single),
        (r'"', _Reader._quoted),
        (r"\\(.)", _Reader._literal),
        (rf"[^\s\\'\"`$;&|()<>#{UNSEEN_START}]+|.", _Reader._literal),
    )
)
