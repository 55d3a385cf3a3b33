"""The command `journey`: shows traces, follows new ones, and says where one breaks."""

import click

from journey.cli.doctoring import doctor
from journey.cli.serving import serve
from journey.cli.showing import show
from journey.cli.watching import watch


@click.group()
def main() -> None:
    """See the journey of a message through the services, from its spans in Zipkin or in files."""


main.add_command(show)
main.add_command(watch)
main.add_command(doctor)
main.add_command(serve)
