"""The language in which a command tells its findings, and the printing of what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from auditor.cli.tables import print_table, wrapped
from auditor.cli.text import printable
from auditor.language import LANGUAGES, Language, Words, spoken

in_language = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="en",
    show_default=True,
    help="Language of the findings; names and labels stay as they are.",
)


@dataclass(frozen=True)
class Speaker:
    """Prints words in one language; data that stand in them are made safe to print."""

    language: Language

    def said(self, words: Words) -> str:
        """Words as one line."""
        return printable(spoken(words, self.language))

    def heading(self, words: Words) -> None:
        """Print a bold line under an empty one."""
        click.secho(f"\n{self.said(words)}", bold=True)

    def line(self, words: Words) -> None:
        """Print one line, indented as a table is."""
        click.echo(f"   {self.said(words)}")

    def paragraph(self, words: Words, mark: str = " ", colour: str | None = None) -> None:
        """Print a paragraph, wrapped and indented as a table is, with a mark of one character."""
        sign = click.style(f" {mark} ", fg=colour, bold=True)
        click.echo(sign + wrapped(spoken(words, self.language)))

    def table(self, head: Sequence[Words], rows: Sequence[Sequence[Words]]) -> None:
        """Print rows under a head, their columns aligned."""
        first, *others = ([spoken(cell, self.language) for cell in row] for row in (head, *rows))
        print_table(first, others)
