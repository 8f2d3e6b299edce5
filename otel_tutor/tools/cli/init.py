"""`otel-tutor init`: the stack's files in the user's project."""

from pathlib import Path

import click

from otel_tutor.tools.stack.project import write

__all__ = ["init"]


@click.command(epilog="Example: otel-tutor init observability; cd observability; otel-tutor up")
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Write compose.yaml, collector/, alerts/ and dashboards/ into FOLDER, to be edited and versioned there.

    Commands that are run in that folder, or below it, use these files. Run it again after an upgrade: it keeps your
    edits, shows them as a diff, and updates the other files.
    """
    written = write(folder)
    for name, difference in written.edited.items():
        click.echo(f"{difference}\n")
        click.echo(f"kept: {name} is edited")
    for name in written.removed:
        click.echo(f"kept: {name} was removed")
    counts = f"{len(written.new)} files written, {len(written.updated)} updated, {len(written.edited)} edited ones kept"
    click.echo(f"{counts} in {folder.absolute()}.")
