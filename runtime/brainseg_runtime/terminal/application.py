"""The application that `brainseg`, `brainseg-train` and `brainseg-export` are: commands, each from a file of its own.

A command is a function of a `Console` and its options that returns the exit code. Its docstring is its help. Options
that several commands share can be one parameter: a dataclass whose fields are options. `command` adds what every
command has: examples, `--json`, `--quiet`, and the edge where faults become exit codes. `application` knows of each
command its name, its help in a line and where it is; it is imported only when it is run, so that `--help` answers at
once.

typer is an optional dependency of the runtime, so this file imports it inside functions.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.terminal.command import run
from brainseg_runtime.terminal.streams import on_terminal
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    import typer

_EMPTY: Final = re.compile(r"(--[a-z][a-z-]*=)?")
_PLACEHOLDERS: Final = {"int": "N", "float": "X", "path": "PATH"}
_CODES: Final = "Exit codes: 0 done, 1 a fault in the input or the result, 2 wrong usage, 130 interrupted."
_JSON: Final = "Write the result as JSON to this file; - is standard output, which then gets nothing else."
_QUIET: Final = "Show warnings and errors only; results are written all the same."


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a function, and what its help and its end say.

    Attributes:
        work: Takes a `Console` and, by keyword, the options that its annotations declare, or dataclasses of such
            options; returns the exit code.
        examples: Command lines, shown under the help.
        interrupted: What is said when the user interrupts it.
        words: Gives what stands for ``{name}`` in the help.
    """

    work: Callable[..., int]
    examples: tuple[str, ...]
    interrupted: str
    words: Callable[[], Mapping[str, str]]

    @property
    def help(self) -> str:
        """Its docstring, with the words in it."""
        return (inspect.getdoc(self.work) or "").format_map(self.words())


@dataclass(frozen=True, slots=True)
class Listed:
    """A command before it is imported.

    Attributes:
        place: Where it is, as ``package.module:name``.
        about: Its help in one line.
    """

    place: str
    about: str


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one name, as `status` is in `brainseg node status`.

    Attributes:
        about: What they are for, in one line.
        commands: By name, in the order of the help.
    """

    about: str
    commands: Mapping[str, Listed]


def command(
    *examples: str, interrupted: str = "interrupted", words: Callable[[], Mapping[str, str]] = dict
) -> Callable[[Callable[..., int]], Command]:
    """Makes a command of a function; see `Command`."""
    return lambda work: Command(work, examples, interrupted, words)


def application(about: str, commands: Mapping[str, Listed | Group]) -> typer.Typer:
    """A program of several commands.

    Args:
        about: What it does, for `--help`.
        commands: Its commands by name, in the order of the help.

    Raises:
        MissingExtraError: typer or rich is not installed.
    """
    app = _bare()

    def root(version: bool = False) -> None: ...

    root.__annotations__["version"] = _version_option()
    app.callback(help=about)(root)
    for name, listed in commands.items():
        if isinstance(listed, Group):
            app.add_typer(_of_group(listed), name=name)
        else:
            _add(app, name, listed)
    return app


def _of_group(group: Group) -> typer.Typer:
    """The commands of a group as an application within another."""
    app = _bare()
    app.callback(help=group.about)(_nothing)
    for name, listed in group.commands.items():
        _add(app, name, listed)
    return app


def _add(app: typer.Typer, name: str, listed: Listed) -> None:
    """Adds a command that is imported once it is asked for."""
    app.command(name, cls=_imported_when_asked_for(name, listed.place), short_help=listed.about)(_nothing)


def single_application(only: Command) -> typer.Typer:
    """A program that is one command, with `--version` among its options.

    Args:
        only: The command.
    """
    return _of_one(only, None, {"version": _version_option()})


def _of_one(only: Command, name: str | None, more: Mapping[str, Any]) -> typer.Typer:
    """An application of one command, whose options are those of its function, `more`, `--json` and `--quiet`."""
    import typer

    own, groups = _declared(only.work)

    def callback(*, json: str | None, quiet: bool, **given: Any) -> None:  # noqa: ANN401 - whatever the command declares
        options = {key: value for key, value in given.items() if key not in more}
        for key, kind in groups.items():
            options[key] = kind(**{field.name: options.pop(field.name) for field in fields(kind)})
        work = only.work
        raise typer.Exit(run(json, lambda console: work(console, **options), quiet=quiet, interrupted=only.interrupted))

    shared = {
        **{key: _parameter(key, hint, False) for key, hint in more.items()},
        "json": _parameter("json", Annotated[str | None, typer.Option("--json", metavar="FILE", help=_JSON)], None),
        "quiet": _parameter("quiet", Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)], False),
    }
    # typer reads both.
    callback.__signature__ = inspect.Signature([*own, *shared.values()])  # type: ignore[attr-defined]
    callback.__annotations__ = {each.name: each.annotation for each in (*own, *shared.values())}
    epilog = "\n\n".join((*(f"Example: {each}" for each in only.examples), _CODES))
    app = _bare()
    app.command(name, cls=_plain_form(), help=only.help, epilog=epilog)(callback)
    return app


def _declared(work: Callable[..., int]) -> tuple[list[inspect.Parameter], dict[str, type[Any]]]:
    """The options of a command's function, those of its dataclasses among them, and these dataclasses by name."""
    hints = get_type_hints(work, include_extras=True)
    _, *own = inspect.signature(work).parameters.values()
    options: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for each in own:
        hint = hints[each.name]
        if not is_dataclass(hint):
            options.append(_parameter(each.name, hint, each.default))
            continue
        groups[each.name] = hint  # type: ignore[assignment]  # a class, as it is an annotation
        inner = get_type_hints(hint, include_extras=True)
        options += [_parameter(field.name, inner[field.name], field.default) for field in fields(hint)]
    return options, groups


def _parameter(name: str, hint: object, default: object) -> inspect.Parameter:
    """An option as typer reads it off a function."""
    default = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)


def _bare() -> typer.Typer:
    """An application without commands yet."""
    try:
        import rich  # noqa: F401 - so that one message names both
        import typer
    except ImportError as error:
        raise MissingExtraError(
            f"the command needs {error.name}, which is not installed", remedy=install_remedy("cli")
        ) from error
    return typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Boxes on a terminal; elsewhere plain text, which never cuts a name short.
        rich_markup_mode="rich" if on_terminal() else None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def _nothing() -> None:
    """Stands for a command that is not imported yet."""


def _version_option() -> object:
    """The option `--version`, which shows the version and ends the program."""
    import typer

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(__version__)
            raise typer.Exit

    option = typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
    return Annotated[bool, option]


def _imported_when_asked_for(name: str, place: str) -> type[Any]:
    """The class of a command that imports the real one once arguments have come for it."""
    from typer.core import TyperCommand

    class Late(TyperCommand):
        """A command whose own file is imported to read its arguments."""

        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401 - typer's own, or click's
            """Imports the command and hands its arguments on to it."""
            import typer

            real = typer.main.get_command(_of_one(pkgutil.resolve_name(place), name, {}))
            return real.make_context(info_name, args, parent, **extra)

    return Late


def _plain_form() -> type[Any]:
    """The class of a command's form; made here, since typer is imported where it is used."""
    from typer.core import TyperCommand

    class Form(TyperCommand):
        """A command whose usage names its arguments plainly, and which takes no empty argument."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own, or click's
            """Refuses an argument that is empty, as an unset variable of a shell leaves it: "" is no path."""
            if any(_EMPTY.fullmatch(each) for each in args):
                ctx.fail("an argument is empty: expected a name (is a variable of your shell unset?)")
            return super().parse_args(ctx, args)

        def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as above
            """The arguments as they were declared; in brackets if they may be left out."""
            arguments = [each for each in self.get_params(ctx) if each.param_type_name == "argument"]
            names = (each.metavar if each.required else f"[{each.metavar}]" for each in arguments)
            return ["[OPTIONS]", *names]

        def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as above
            """Options and arguments, shown as `--epochs N` and `BUNDLE`, without the names of Python's types."""
            params = super().get_params(ctx)
            for param in params:
                if param.param_type_name == "argument":
                    param.metavar = param.metavar or param.name.upper()
                    vars(param)["display_type_rich"] = lambda ctx: None  # noqa: ARG005 - not every version asks
                elif param.metavar is None and not getattr(param, "is_flag", False):
                    param.metavar = _placeholder(param)
            return params

    return Form


def _placeholder(param: Any) -> str | None:  # noqa: ANN401 - an option of typer's
    """What stands for an option's value in help; None where its choices do."""
    kind = str(param.type) if hasattr(param, "type") else str(param.type_descriptor.annotation)
    if "Literal" in kind or "Choice" in kind:
        return None
    return next((short for name, short in _PLACEHOLDERS.items() if name in kind.casefold()), "TEXT")
