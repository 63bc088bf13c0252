"""JSON Schema's errors as complaints that a marketing person can act on, with positions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from exportkit.config import phrases
from exportkit.config.hints import hint_of, how_to_add, instance_of, name_hint, schema_of, wanted_by
from exportkit.config.names import nearest, nearest_hint
from exportkit.config.references import has_reference
from exportkit.config.secrets import is_sensitive, looks_secret
from exportkit.errors import Complaint

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

    from exportkit.config.documents import Document, Steps

_UNKNOWN_KEYS = ("additionalProperties", "unevaluatedProperties")
_CHOICES = ("anyOf", "oneOf")


def complaints_of(
    errors: Iterable[ValidationError], document: Document, at: Steps
) -> Iterator[Complaint]:
    """Each error as complaints, with positions; `at` is where the validated part stands."""
    judged = [error for error in errors if not _concerns_reference(error)]
    misspelled = {
        (tuple(error.absolute_path), guess)
        for error in judged
        if error.validator in _UNKNOWN_KEYS
        for guess in _guesses(error)
    }
    for error in judged:
        if not _is_misspelling(error, misspelled):
            yield from _complaints(error, document, at)


def _complaints(error: ValidationError, document: Document, at: Steps) -> Iterator[Complaint]:
    path = (*at, *error.absolute_path)
    keyword = error.validator
    is_mapping = isinstance(instance_of(error), dict)
    if keyword in _UNKNOWN_KEYS and is_mapping:
        yield from _unknown_keys(error, document, path)
    elif keyword == "required":
        yield _missing_key(error, document, path)
    elif keyword == "dependentRequired":
        yield from _companions(error, document, path)
    elif keyword in _CHOICES:
        yield from _alternatives(error, document, at, path)
    elif keyword == "uniqueItems":
        yield from _repeated(error, document, path)
    elif "propertyNames" in error.absolute_schema_path:
        yield _wrong_key(error, document, path)
    else:
        yield _wrong_value(error, document, path)


def _unknown_keys(error: ValidationError, document: Document, path: Steps) -> Iterator[Complaint]:
    known = _known_keys(error)
    for key in _strangers(error):
        yield Complaint(
            f"there is no key '{phrases.short(key)}' here",
            document.locate((*path, key), key=True),
            nearest_hint(key, known) if known else "no keys are expected here",
        )


def _strangers(error: ValidationError) -> list[str]:
    schema = schema_of(error)
    patterns = schema.get("patternProperties", ())
    if error.validator == "unevaluatedProperties":
        # Which of the branches holds is for the library to know; it says so in its message alone.
        return [key for key in instance_of(error) if repr(key) in error.message]
    return [
        key
        for key in instance_of(error)
        if key not in schema.get("properties", ())
        and not any(re.search(pattern, key) for pattern in patterns)
    ]


def _known_keys(error: ValidationError) -> list[str]:
    """The keys that could be meant: those not there yet, if any are left."""
    schema = schema_of(error)
    branches = [branch for word in ("oneOf", "anyOf") for branch in schema.get(word, ())]
    known = [name for part in (schema, *branches) for name in part.get("properties", ())]
    return [name for name in known if name not in instance_of(error)] or known


def _guesses(error: ValidationError) -> Iterator[str]:
    known = _known_keys(error)
    for key in _strangers(error) if isinstance(instance_of(error), dict) else ():
        guess = nearest(key, known)
        if guess:
            yield guess


def _is_misspelling(error: ValidationError, misspelled: set[tuple[Any, str]]) -> bool:
    """A missing key that is there under a wrong name needs no second complaint."""
    path = tuple(error.absolute_path)
    if error.validator == "required":
        return (path, _missing(error)) in misspelled
    if error.validator == "oneOf":
        return any((path, name) in misspelled for name in _required_names(error))
    return False


def _missing(error: ValidationError) -> str:
    # One error a name; which one, the library says in its message alone: 'name' is a required ...
    wanted = [name for name in wanted_by(error) if name not in instance_of(error)]
    return str(next(name for name in wanted if error.message.startswith(repr(name))))


def _missing_key(error: ValidationError, document: Document, path: Steps) -> Complaint:
    name = _missing(error)
    entry = schema_of(error).get("properties", {}).get(name)
    return Complaint(
        f"the key '{name}' is missing",
        document.locate(path),
        how_to_add(name, entry) if isinstance(entry, Mapping) else None,
    )


def _companions(error: ValidationError, document: Document, path: Steps) -> Iterator[Complaint]:
    for key, needed in wanted_by(error).items():
        missing = [name for name in needed if name not in instance_of(error)]
        if key in instance_of(error) and missing:
            yield Complaint(
                f"'{key}' goes with {' and '.join(missing)}, which is not here",
                document.locate((*path, key), key=True),
            )


def _repeated(error: ValidationError, document: Document, path: Steps) -> Iterator[Complaint]:
    items: list[Any] = list(instance_of(error))
    for index, item in enumerate(items):
        if item in items[:index]:
            where = (*path, index)
            shown = phrases.found(item, secret=_is_secret(error, document, where))
            yield Complaint(f"found {shown} a second time", document.locate(where), "take it out")


def _alternatives(
    error: ValidationError, document: Document, at: Steps, path: Steps
) -> Iterator[Complaint]:
    """`anyOf` and `oneOf` as one sentence, or as what is wrong with the branch that was meant."""
    names = _required_names(error)
    if names and isinstance(instance_of(error), dict):
        yield _choice(error, document, path, names)
        return
    meant = [branch for branch in _branches(error) if not any(map(_mismatches(error), branch))]
    says_it_better = "x-expected" in schema_of(error) and not isinstance(
        instance_of(error), dict | list
    )
    if len(meant) == 1 and not says_it_better:
        yield from complaints_of(meant[0], document, at)
    else:
        yield _wrong_value(error, document, path)


def _branches(error: ValidationError) -> list[list[ValidationError]]:
    """The errors of each alternative."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
    return list(branches.values())


def _mismatches(outer: ValidationError) -> Any:
    """Whether an error says that an alternative is for values of another type altogether."""
    own = list(outer.absolute_path)

    def mismatches(inner: ValidationError) -> bool:
        if list(inner.absolute_path) != own:
            return False
        if inner.validator in _CHOICES and not _required_names(inner):
            return all(any(map(mismatches, branch)) for branch in _branches(inner))
        return inner.validator in ("type", "enum", "const")

    return mismatches


def _required_names(error: ValidationError) -> list[str]:
    """`oneOf: [{required: [a]}, {required: [b]}]` as [a, b]; anything else as []."""
    names: list[str] = []
    for branch in wanted_by(error) if error.validator in _CHOICES else ():
        required = branch.get("required") if isinstance(branch, dict) else None
        if not required or len(required) != 1:
            return []
        names.append(required[0])
    return names


def _choice(error: ValidationError, document: Document, path: Steps, names: list[str]) -> Complaint:
    there = [name for name in names if name in instance_of(error)]
    wanted = schema_of(error).get("x-expected") or (
        f"{'exactly' if error.validator == 'oneOf' else 'at least'} one of {', '.join(names)}"
    )
    if not there:
        return Complaint(f"expected {wanted}; there is none", document.locate(path))
    where = document.locate((*path, there[-1]), key=True)
    return Complaint(f"found {' and '.join(there)} together, expected {wanted}", where)


def _wrong_key(error: ValidationError, document: Document, path: Steps) -> Complaint:
    key = str(instance_of(error))
    return Complaint(
        f"found the key '{phrases.short(key)}', expected {_expected(error)}",
        document.locate((*path, key), key=True),
        name_hint(error),
    )


def _wrong_value(error: ValidationError, document: Document, path: Steps) -> Complaint:
    secret = _is_secret(error, document, path)
    hint = None if secret else hint_of(error)
    shown = phrases.found(instance_of(error), secret=secret)
    return Complaint(f"found {shown}, expected {_expected(error)}", document.locate(path), hint)


def _is_secret(error: ValidationError, document: Document, path: Steps) -> bool:
    if is_sensitive(path) or schema_of(error).get("writeOnly") or schema_of(error).get("x-secret"):
        return True
    written = document.text_or_none(path)
    return any(
        looks_secret(text) or has_reference(text)
        for text in (written, instance_of(error))
        if isinstance(text, str)
    )


def _expected(error: ValidationError) -> str:
    if error.validator in _CHOICES and "x-expected" not in schema_of(error):
        return ", or ".join(dict.fromkeys(_expected(branch[0]) for branch in _branches(error)))
    return phrases.expected(schema_of(error), str(error.validator), wanted_by(error))


def _concerns_reference(error: ValidationError) -> bool:
    """A value that is still a reference cannot be judged yet."""
    if isinstance(instance_of(error), str):
        return (
            has_reference(instance_of(error)) and "propertyNames" not in error.absolute_schema_path
        )
    if error.validator not in _CHOICES:
        return False
    return any(all(map(_concerns_reference, branch)) for branch in _branches(error))
