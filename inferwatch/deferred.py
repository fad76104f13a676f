"""A group of commands each of which is imported only when it is called.

The help of all of them needs no database driver, and the start of one none of another's imports.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from inferwatch.errors import CommandError


@dataclass(frozen=True)
class Deferred:
    """One command.

    Attributes:
        name: As it is called.
        panel: Heading in the help under which it stands.
        about: Its line there.
        target: ``module:name`` of a function with Typer's annotations, or of a ``typer.Typer``.
        extra: What to install where it needs something that is not there.
    """

    name: str
    panel: str
    about: str
    target: str
    extra: str = "cli"

    def load(self) -> Any:
        """Import it, as a command of Click's kind.

        Raises:
            CommandError: It needs a package that is not installed.
        """
        module, _, name = self.target.partition(":")
        try:
            found = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing.startswith("inferwatch"):
                raise
            raise CommandError(
                f"{self.name} needs {missing}, which is not installed; "
                f"run: pip install 'inferwatch[{self.extra}]'"
            ) from error
        group = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        # With a callback it is a group even of one command.
        group.callback()(lambda: None)
        if isinstance(found, typer.Typer):
            group.add_typer(found, name=self.name)
        else:
            group.command(self.name)(found)
        commands: dict[str, Any] = vars(typer.main.get_command(group))["commands"]
        return commands[self.name]


class _Placeholder(TyperCommand):
    """Stands in the help; called, it is the command itself."""

    def __init__(self, command: Deferred) -> None:
        super().__init__(command.name, help=command.about, rich_help_panel=command.panel)
        self._command = command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        return self._command.load().make_context(*args, **kwargs)


def group_of(*commands: Deferred) -> type[TyperGroup]:
    """The class of a group that has these commands, in this order."""
    by_name = {command.name: command for command in commands}

    class Group(TyperGroup):
        def list_commands(self, _: Any) -> list[str]:
            return list(by_name)

        def get_command(self, _: Any, name: str) -> Any:
            return _Placeholder(by_name[name]) if name in by_name else None

    return Group
