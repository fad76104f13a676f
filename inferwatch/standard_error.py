"""What a person is told besides the output, which may go to another program."""

import typer


def tell(sentence: str) -> None:
    """Print a sentence on standard error."""
    typer.echo(sentence, err=True)
