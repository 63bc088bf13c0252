"""What libyaml says about a file that is not YAML, for people who did not write libyaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exportkit.errors import ConfigError, Location

if TYPE_CHECKING:
    import yaml

_CHECK = "check the quotes, brackets and indentation around this line"
_OPENERS = {"[": "bracket [", "{": "brace {", '"': 'quote "', "'": "quote '"}


def syntax_error(error: yaml.YAMLError, file: str, text: str) -> ConfigError:
    """The parser's error as a ConfigError at the place where something has to be changed."""
    problem: str = getattr(error, "problem", None) or "it cannot be read"
    place = getattr(error, "problem_mark", None)
    opened = getattr(error, "context_mark", None)
    lines = text.split("\n")
    opener = _OPENERS.get(_at(lines, opened))
    if opened and opener and ("end of stream" in problem or "expected ',' or" in problem):
        hint = "close it, or put text that contains it in quotes"
        if opener == _OPENERS["{"] and "${" in lines[opened.line]:
            hint = "between braces, ${...} has to stand in quotes"
        return _error(file, opened, f"the {opener} is not closed", hint)
    message, hint = _in_words(problem, lines, place)
    if problem.startswith("did not find expected key") and opened:
        start = f"{opened.line + 1}:{opened.column + 1}"
        message = f"expected the next `key: value` of the mapping that starts at {start}"
    return _error(file, place or opened, message, hint)


def _error(file: str, mark: Any, message: str, hint: str) -> ConfigError:
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return ConfigError(f"not YAML: {message}", hint=hint, location=Location(file, line, column))


def _at(lines: list[str], mark: Any) -> str:
    if mark is None or mark.line >= len(lines):
        return ""
    line, column = int(mark.line), int(mark.column)
    return lines[line][column : column + 1]


def _in_words(problem: str, lines: list[str], mark: Any) -> tuple[str, str]:
    here = _at(lines, mark)
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if here == "\t" or "\t" in line[: len(line) - len(line.lstrip())]:
        return "found a tab where the line is indented, expected blanks", "indent with blanks"
    if "mapping values are not allowed" in problem:
        return (
            "found a ':' that cannot stand here",
            "put text that contains ': ' in quotes, and check the indentation",
        )
    if "could not find expected ':'" in problem:
        return "found a line without a ':' after its key", "expected `key: value`"
    if "expected node content" in problem:
        if not here and mark.line >= len(lines) - 1:
            ends = "the file ends where a value was expected"
            return ends, "close the brackets, braces and quotes above"
        return f"found {here or 'the end of the line'} where a value was expected", _CHECK
    if "incompatible YAML" in problem:
        return "found a version of YAML that is not 1.x", "take the line out"
    if here and here in "%@`":
        return f"found {here} at the start of a value", "put the text in quotes"
    if "nesting depth" in problem:
        return "nested too deep", "is this a YAML file for exportkit?"
    if "unknown escape" in problem:
        return (
            "found a backslash with a letter that means nothing",
            "use single quotes around text with backslashes, or write \\\\",
        )
    return problem, _CHECK
