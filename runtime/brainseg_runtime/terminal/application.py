"""The form that `brainseg`, `brainseg-train` and `brainseg-export` share: how help looks, and what no command takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from brainseg_runtime.terminal.streams import on_terminal

if TYPE_CHECKING:
    import typer

_EMPTY = re.compile(r"(--[a-z][a-z-]*=)?")
_BRACED = re.compile(r"^\{(.+?)\}")
_PLACEHOLDERS = {"int": "N", "float": "X", "path": "PATH"}
CODES = "Exit codes: 0 done, 1 a fault in the input or the result, 2 wrong usage, 130 interrupted."


def make_application() -> typer.Typer:
    """An application without commands yet."""
    import typer

    return typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Boxes on a terminal; elsewhere plain text, which never cuts a name short.
        rich_markup_mode="rich" if on_terminal() else None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )


def finished(app: typer.Typer) -> typer.Typer:
    """The application, once all its commands are added, each given this package's form.

    Args:
        app: As `make_application` made it.
    """
    form = _form()
    for command in app.registered_commands:
        command.cls = form
    return app


def _placeholder(param: Any) -> str | None:  # noqa: ANN401 - an option of typer's
    """What stands for an option's value in help; None where its choices do."""
    kind = str(param.type) if hasattr(param, "type") else str(param.type_descriptor.annotation)
    if "Literal" in kind or "Choice" in kind:
        return None
    return next((short for name, short in _PLACEHOLDERS.items() if name in kind.casefold()), "TEXT")


def _form() -> type[Any]:
    """The class of every command; made here, since typer is imported where it is used."""
    from typer.core import TyperCommand

    class Command(TyperCommand):
        """A command whose usage names its arguments plainly, and which takes no empty argument."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own, or click's
            """Refuses an argument that is empty, as an unset variable of a shell leaves it: "" is no path."""
            if any(_EMPTY.fullmatch(each) for each in args):
                ctx.fail("an argument is empty: expected a name (is a variable of your shell unset?)")
            return super().parse_args(ctx, args)

        def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as above
            """Names of arguments, without the braces and second dots that some versions of typer add."""
            return [_BRACED.sub(r"\1", piece).replace("......", "...") for piece in super().collect_usage_pieces(ctx)]

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

    return Command
