"""``sipxconfig-soap wsdl``."""

from __future__ import annotations

from pathlib import Path

import click

from sipxconfig_soap.cli.database import load_settings
from sipxconfig_soap.setting_values import public_url


def _base_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        base = public_url(value)
    except ValueError as error:
        raise click.BadParameter(f"it must be {error}") from None
    if base is None:
        raise click.BadParameter("it is empty")
    return base


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--base-url",
    required=True,
    callback=_base_url,
    help="How clients reach the server, such as https://pbx.example.org.",
)
def wsdl(directory: Path, base_url: str) -> None:
    """Write the WSDL of every service into DIR, one file each."""
    from sipxconfig_soap.services import build_endpoints  # noqa: PLC0415 - loads Spyne

    settings = load_settings()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, endpoint in build_endpoints(settings).items():
            target = directory / f"{name}.wsdl"
            target.write_bytes(endpoint.wsdl(f"{base_url}/sipxconfig/services/{name}"))
            click.echo(str(target))
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be written: {error.strerror}."
        ) from None
