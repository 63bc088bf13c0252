"""Is this object a plugin? Its hooks held against the contract, before anything is called."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exportkit import hookspecs

if TYPE_CHECKING:
    from collections.abc import Callable

    import pluggy

REQUIRED = ("describe_destination", "connect", "push")
FOR_ANYBODY = frozenset({"run_finished", "register_commands"})
SPECS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(spec).parameters)
    for name, spec in vars(hookspecs).items()
    if hasattr(spec, "exportkit_spec")
}


class Defect(Exception):  # noqa: N818 - a finding about a plugin, shown in a list
    """Why an object cannot be used as a plugin, with a hint for its author."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one plugin: those it answers, and those it wraps."""

    answers: tuple[str, ...]
    wraps: tuple[str, ...]

    @property
    def destination(self) -> bool:
        return any(hook in self.answers for hook in REQUIRED)


def inspect_hooks(manager: pluggy.PluginManager, plugin: object) -> Hooks:
    """The hooks that `plugin` implements. Raises `Defect` where they break the contract."""
    _check_object(manager, plugin)
    answers: list[str] = []
    wraps: list[str] = []
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            continue
        hook = options.get("specname") or attribute
        if hook not in SPECS:
            if options.get("optionalhook"):  # of a later version of the contract
                continue
            raise _unknown(hook)
        wrapper = options.get("wrapper") or options.get("hookwrapper")
        _check_signature(hook, getattr(plugin, attribute), wrapper=bool(wrapper))
        (wraps if wrapper else answers).append(hook)
    hooks = Hooks(
        tuple(hook for hook in SPECS if hook in answers),
        tuple(hook for hook in SPECS if hook in wraps),
    )
    _check_completeness(hooks, plugin)
    return hooks


def _check_object(manager: pluggy.PluginManager, plugin: object) -> None:
    if inspect.isclass(plugin):
        raise Defect(
            f"the entry point names the class {plugin.__name__}, not an object",
            "let the entry point name a module, or an instance",
        )
    try:
        hash(plugin)
    except TypeError:
        raise Defect(
            f"the entry point names {type(plugin).__name__!r}, which cannot be hashed",
            "let the entry point name a module, or a plain instance",
        ) from None
    known_as = manager.get_name(plugin)
    if known_as is not None:
        raise Defect(
            f"the entry point names what is already loaded as {known_as!r}",
            "give each type a module or an instance of its own",
        )


def _unknown(hook: str) -> Defect:
    from exportkit.config.names import nearest_hint

    return Defect(f"there is no hook {hook!r}", nearest_hint(hook, list(SPECS)))


def _check_signature(hook: str, function: Callable[..., Any], *, wrapper: bool) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise Defect(f"{hook} is asynchronous", f"write `def {hook}`: hooks are plain functions")
    if inspect.isgeneratorfunction(function) is not wrapper:
        raise Defect(
            f"{hook} {'is marked as a wrapper but has no' if wrapper else 'has a'} `yield`",
            "a wrapper is marked with hookimpl(wrapper=True) and yields once"
            + ("" if hook != "connect" else "; a session is opened with @contextmanager"),
        )
    known = SPECS[hook]
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise Defect(f"{hook} takes *{parameter.name}", _arguments(hook))
        if parameter.default is not parameter.empty:
            if parameter.name in known:
                raise Defect(
                    f"{hook}'s argument {parameter.name!r} has a default, so it is never passed",
                    f"write `{parameter.name}` without the default",
                )
        elif parameter.name not in known:
            raise Defect(f"{hook} has no argument {parameter.name!r}", _arguments(hook))
        elif parameter.kind is parameter.KEYWORD_ONLY:
            raise Defect(
                f"{hook}'s argument {parameter.name!r} is keyword-only", "take out the `*`"
            )


def _arguments(hook: str) -> str:
    return f"its arguments are {', '.join(SPECS[hook])}" if SPECS[hook] else "it takes no argument"


def _check_completeness(hooks: Hooks, plugin: object) -> None:
    if not hooks.answers and not hooks.wraps:
        forgotten = [name for name in SPECS if callable(getattr(plugin, name, None))]
        raise Defect(
            "it implements no hook",
            f"mark {', '.join(forgotten)} with @exportkit.hookimpl"
            if forgotten
            else "mark its hooks with @exportkit.hookimpl",
        )
    if hooks.destination:
        missing = [hook for hook in REQUIRED if hook not in hooks.answers]
        if missing:
            unmarked = [name for name in missing if callable(getattr(plugin, name, None))]
            raise Defect(
                f"a destination needs {', '.join(REQUIRED)}, but {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing",
                f"mark {', '.join(unmarked)} with @exportkit.hookimpl"
                if unmarked
                else f"implement {', '.join(missing)}",
            )
        return
    alone = [hook for hook in hooks.answers if hook not in FOR_ANYBODY]
    if alone:
        raise Defect(
            f"it answers {', '.join(alone)} but is no destination",
            f"implement {', '.join(REQUIRED)} too, or wrap with hookimpl(wrapper=True)",
        )
