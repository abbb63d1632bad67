"""The calls of atc in what a shell would read: a command line, or a script. Nothing of it is executed.

A variable is known where a text was given to it before without condition: not in a loop, a branch or a function, nor
after && or ||. Everything else that a shell puts in stays between the marks of `convert.atc.line`.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from convert.atc.line import UNSEEN_END, UNSEEN_START, as_written
from convert.check.shell_words import Token, shell_tokens

_PROGRAM = re.compile(
    r"(?:.*/)?atc(?:\.bin)?|\$\{?ATC(?:_BIN|_PATH)?(?::?-[^}]*)?\}?", re.DOTALL
)  # or a variable of that name
MAX_VALUE = 10_000  # characters of variables put into a word: x=$x$x would double without end
_OPENING = {"if": "fi", "while": "done", "until": "done", "for": "done", "select": "done", "case": "esac", "{": "}"}
_BEFORE_A_COMMAND = ("then", "do", "else", "elif", "!", "time", "if", "while", "until", "{")
_DECLARING = ("export", "readonly", "local", "declare", "typeset")
_SAYING = ("echo", "printf")
_NOT_READ = {0: None, ord(UNSEEN_START): "?", ord(UNSEEN_END): "?"}  # a shell drops NUL
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_VARIABLE = re.compile(UNSEEN_START + r"\$(?:\{(\w+)\}|(\w+))" + UNSEEN_END)
# A command line that is one word: of `bash -c "..."`, or kept in a variable.
_INNER = re.compile(r"(?:[A-Za-z_]\w*=)?((?:.*[\s;&|])?(?:\S*/)?atc\s+--?\w.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of atc.

    Attributes:
        line: of the text, from 1.
        words: after `atc`.
        cut: the line ends at a `;` in mid-word: a list that was given without quotes.
        known: the variables in it that the text itself sets, with their values.
    """

    line: int
    words: tuple[str, ...]
    cut: bool
    known: Mapping[str, str]


@dataclass(slots=True)
class _Command:
    words: list[Token]
    sure: bool  # it runs whatever happens before
    cut: bool = False


def atc_calls(text: str) -> list[Call]:
    """Find the calls, in their order.

    Raises:
        SpecError: as `shell_tokens`.
    """
    return list(_calls(text.translate(_NOT_READ), {}))


def _calls(text: str, known: dict[str, str], above: int | None = None) -> Iterator[Call]:
    """The calls in a text, or in a word of it that has lines above."""
    commands = list(_commands(shell_tokens(text)))
    unsure = {name for command in commands for name in _unsure_names(command)}
    for command in commands:
        call = _call(command, known, above or 0)
        if call:
            yield call
        elif not (command.words and command.words[0].text in _SAYING) and above is None:
            for word in command.words:
                inner = _INNER.fullmatch(word.text) if len(word.text) <= MAX_VALUE else None
                if inner:
                    yield from _calls(inner[1], known.copy(), word.line - 1)
        for name, _, written in _assignments(command):
            value = _resolved(written, known)[0]
            known.pop(name, None)
            if name not in unsure:
                known[name] = value


def _commands(tokens: list[Token]) -> Iterator[_Command]:
    open_parts: list[str] = []
    command = _Command([], sure=True)
    for token in (*tokens, Token("\n", 0, operator=True)):
        if not token.operator:
            command.words.append(token)
            continue
        command.cut = token.cuts
        if token.text == "(" and command.words and command.words[-1].text.endswith("="):
            command.sure = False  # an array
        open_parts += [_OPENING[word.text] for word in command.words[:2] if word.text in _OPENING]
        command.sure = command.sure and not open_parts
        yield command
        for word in command.words[:1]:
            if open_parts and word.text == open_parts[-1]:
                open_parts.pop()
        if token.text == "(":
            open_parts.append(")")
        elif token.text == ")" and open_parts and open_parts[-1] == ")":
            open_parts.pop()
        command = _Command([], sure=token.text not in ("&&", "||", "|"))


def _assignments(command: _Command) -> Iterator[tuple[str, str, str]]:
    """Name, `+` or nothing, and value of what a command sets for those after it."""
    words = [word.text for word in command.words]
    while words and words[0] in (*_BEFORE_A_COMMAND, *_DECLARING):
        words = [word for word in words[1:] if not word.startswith("-")]
    matches = [_ASSIGNMENT.fullmatch(word) for word in words]
    if all(matches) or command.words[0].text in _DECLARING:
        yield from ((match[1], match[2], match[3]) for match in matches if match)


def _unsure_names(command: _Command) -> Iterator[str]:
    words = [word.text for word in command.words]
    for name, plus, _ in _assignments(command):
        if plus or not command.sure:
            yield name
    yield from (word for first, word in itertools.pairwise(words) if first in ("for", "select"))
    if "read" in words[:2] or "unset" in words[:2]:
        yield from words


def _call(command: _Command, known: Mapping[str, str], above: int) -> Call | None:
    words = command.words
    while words and words[0].text in _BEFORE_A_COMMAND:
        words = words[1:]
    for index, word in enumerate(words):
        follows = words[index + 1].text if index + 1 < len(words) else ""
        is_called = index == 0 or re.match(rf"--\w|{UNSEEN_START}", follows)
        program = as_written(_resolved(word.text, known)[0])
        if is_called and _PROGRAM.fullmatch(program) and words[0].text not in _SAYING:
            resolved = [_resolved(each.text, known) for each in words[index + 1 :]]
            used = {name: value for _, names in resolved for name, value in names.items()}
            return Call(word.line + above, tuple(text for text, _ in resolved), command.cut, used)
    return None


def _resolved(text: str, known: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A word with the values of known variables, and which they are."""
    used: dict[str, str] = {}

    room = MAX_VALUE

    def value(match: re.Match[str]) -> str:
        nonlocal room
        name = match[1] or match[2]
        if name not in known or len(known[name]) > room:
            return match[0]
        used[name] = known[name]
        room -= len(known[name])
        return known[name]

    return _VARIABLE.sub(value, text), used
