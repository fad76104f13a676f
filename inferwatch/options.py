"""Options that several commands share, and the settings they stand for.

A command asks for what it needs by type, ``kafka: options.Kafka``, and is decorated with
``options.expanded``: its command line then has the options, and it is called with the settings.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import typer

from inferwatch_clickhouse.settings import ClickHouseSettings
from inferwatch_schemas.kafka import MECHANISMS, PROTOCOLS, KafkaSettings
from inferwatch_schemas.registry import ConfluentRegistry, PinnedRegistry, Registry

Result = TypeVar("Result")


@dataclass(frozen=True)
class From:
    """Marks a parameter of a command that is built from several options.

    Attributes:
        build: Its parameters are the options; what it returns is passed to the command.
        defaults: Defaults that this use has in place of build's own.
    """

    build: Callable[..., Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> list[inspect.Parameter]:
        """The options, in the order of the help."""
        return [
            option.replace(
                kind=inspect.Parameter.KEYWORD_ONLY,
                default=self.defaults.get(option.name, option.default),
            )
            for option in inspect.signature(self.build, eval_str=True).parameters.values()
        ]


def expanded(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give a command the options from which its parameters marked with ``From`` are built."""
    signature = inspect.signature(command, eval_str=True)
    marks = {
        name: mark
        for name, parameter in signature.parameters.items()
        if get_origin(parameter.annotation) is Annotated
        for mark in get_args(parameter.annotation)
        if isinstance(mark, From)
    }

    @functools.wraps(command)
    def call(**values: Any) -> Result:
        for name, mark in marks.items():
            values[name] = mark.build(
                **{option.name: values.pop(option.name) for option in mark.options()}
            )
        return command(**values)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name not in marks
    ]
    shared = [option for mark in marks.values() for option in mark.options()]
    # Typer reads the options from here; functools.wraps had put the command's own here.
    call.__signature__ = signature.replace(parameters=own + shared)  # type: ignore[attr-defined]  # any function may carry one
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in own + shared}
    return call


def _option(name: str, about: str, panel: str, variable: str, metavar: str | None = None) -> Any:
    # The names of the variables are too long for a column of the help; its panels tell the rule.
    return typer.Option(
        name,
        help=about,
        rich_help_panel=panel,
        envvar=f"INFERWATCH_{variable}",
        show_envvar=False,
        metavar=metavar,
    )


def _kafka(name: str, about: str, metavar: str) -> Any:
    variable = name.removeprefix("--").replace("-", "_").upper()
    panel = "Kafka; also from the variables INFERWATCH_KAFKA_BOOTSTRAP_SERVERS, ..."
    return _option(name, about, panel, f"KAFKA_{variable}", metavar)


def kafka_settings(  # noqa: PLR0913  # an option is a parameter, and Kafka has these
    *,
    bootstrap_servers: Annotated[
        str | None, _kafka("--bootstrap-servers", "Brokers, separated by commas.", "HOST:PORT")
    ] = None,
    security_protocol: Annotated[
        str, _kafka("--security-protocol", f"One of {', '.join(PROTOCOLS)}.", "NAME")
    ] = "PLAINTEXT",
    sasl_mechanism: Annotated[
        str | None, _kafka("--sasl-mechanism", f"One of {', '.join(MECHANISMS)}.", "NAME")
    ] = None,
    sasl_username: Annotated[
        str | None, _kafka("--sasl-username", "User name for SASL.", "NAME")
    ] = None,
    sasl_password: Annotated[
        str | None,
        _kafka(
            "--sasl-password",
            "Password for SASL; better by its variable, as others see command lines.",
            "TEXT",
        ),
    ] = None,
    ssl_ca_location: Annotated[
        str | None, _kafka("--ssl-ca-location", "Trusted certificates (PEM).", "FILE")
    ] = None,
    ssl_certificate_location: Annotated[
        str | None, _kafka("--ssl-certificate-location", "Client certificate (PEM).", "FILE")
    ] = None,
    ssl_key_location: Annotated[
        str | None, _kafka("--ssl-key-location", "Key of the client certificate (PEM).", "FILE")
    ] = None,
    ssl_key_password: Annotated[
        str | None,
        _kafka("--ssl-key-password", "Opens that key; better by its variable.", "TEXT"),
    ] = None,
) -> KafkaSettings | None:
    """How to reach Kafka, or None when no broker is named.

    Raises:
        KafkaSettingsError: A setting is missing or cannot be.
    """
    if bootstrap_servers is None:
        return None
    return KafkaSettings(
        bootstrap_servers=bootstrap_servers,
        security_protocol=security_protocol,
        sasl_mechanism=sasl_mechanism,
        sasl_username=sasl_username,
        sasl_password=sasl_password,
        ssl_ca_location=ssl_ca_location,
        ssl_certificate_location=ssl_certificate_location,
        ssl_key_location=ssl_key_location,
        ssl_key_password=ssl_key_password,
    )


Kafka = Annotated[
    KafkaSettings,
    From(kafka_settings, {"bootstrap_servers": KafkaSettings().bootstrap_servers}),
]
KafkaIfNamed = Annotated[KafkaSettings | None, From(kafka_settings)]

RegistryUrl = Annotated[
    str | None,
    _option(
        "--registry",
        "Base URL of a schema registry with Confluent's API; the pinned schema ids without.",
        "Schema registry; also from the variable INFERWATCH_REGISTRY_URL",
        "REGISTRY_URL",
        "URL",
    ),
]


def schema_registry(registry_url: RegistryUrl = None) -> Registry:
    """The registry of a URL, or the pinned ids.

    Raises:
        SchemasError: The registry client is not installed.
    """
    return PinnedRegistry() if registry_url is None else ConfluentRegistry(registry_url)


SchemaRegistry = Annotated[Registry, From(schema_registry)]


def _clickhouse(name: str, about: str, metavar: str) -> Any:
    variable = name.removeprefix("--").replace("-", "_").upper()
    panel = "ClickHouse; also from the variables INFERWATCH_CLICKHOUSE_URL, ..."
    return _option(name, about, panel, variable, metavar)


def clickhouse_settings(
    *,
    clickhouse_url: Annotated[
        str | None, _clickhouse("--clickhouse-url", "HTTP interface.", "URL")
    ] = None,
    clickhouse_database: Annotated[
        str, _clickhouse("--clickhouse-database", "Database of the tables.", "NAME")
    ] = ClickHouseSettings().database,
    clickhouse_user: Annotated[
        str, _clickhouse("--clickhouse-user", "Name of the user.", "NAME")
    ] = ClickHouseSettings().user,
    clickhouse_password: Annotated[
        str | None,
        _clickhouse("--clickhouse-password", "Password; better by its variable.", "TEXT"),
    ] = None,
) -> ClickHouseSettings | None:
    """How to reach ClickHouse, or None when no URL is named.

    Raises:
        ClickHouseSettingsError: A setting cannot be.
    """
    if clickhouse_url is None:
        return None
    # The times that an answer may take have variables and no options.
    return replace(
        ClickHouseSettings.from_environment(os.environ),
        url=clickhouse_url,
        database=clickhouse_database,
        user=clickhouse_user,
        password=clickhouse_password or "",
    )


ClickHouse = Annotated[
    ClickHouseSettings, From(clickhouse_settings, {"clickhouse_url": ClickHouseSettings().url})
]
ClickHouseIfNamed = Annotated[ClickHouseSettings | None, From(clickhouse_settings)]


def default_data_dir() -> Path:
    """Where a demo keeps its data: in the user's data directory, as the system has it."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "inferwatch"
    # XDG Base Directory Specification: a relative path there is to be ignored.
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "inferwatch"


DataDir = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="What a demo keeps.", envvar="INFERWATCH_DATA"),
]
