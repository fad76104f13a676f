"""Where schema ids come from: pinned in this distribution, or a registry with Confluent's API.

Everything that writes or reads Avro takes a ``Registry``; nothing else knows which one is in use.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from inferwatch_schemas import releases
from inferwatch_schemas.errors import (
    RegistryUnavailableError,
    SchemaRefusedError,
    SchemasError,
    UnknownSchemaError,
)
from inferwatch_schemas.topics import TOPICS, topic_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_schemas.releases import Release, Schema

HTTP_NOT_FOUND: Final = 404
HTTP_CONFLICT: Final = 409
HTTP_UNPROCESSABLE: Final = 422

# Without it, a registry that accepts a connection and says nothing would be waited for for ever.
ANSWER_SECONDS: Final = 5

T = TypeVar("T")


class Registry(Protocol):
    """Resolves schema names to ids for writers, and ids to schemas for readers."""

    def id_of(self, name: str) -> int:
        """Id under which our own release of a schema is written.

        Raises:
            UnknownSchemaError: The registry does not have it.
            RegistryUnavailableError: The registry did not answer.
        """
        ...

    def schema(self, schema_id: int) -> Schema:
        """Writer's schema of an id, as parsed JSON.

        Raises:
            UnknownSchemaError: The registry answered that there is none.
            RegistryUnavailableError: The registry did not answer.
        """
        ...


class PinnedRegistry:
    """The ids pinned in ``avro/released/ids.json``: no process, no network."""

    def id_of(self, name: str) -> int:
        """See ``Registry.id_of``."""
        return releases.latest(name).id

    def schema(self, schema_id: int) -> Schema:
        """See ``Registry.schema``."""
        for release in releases.releases():
            if release.id == schema_id:
                return release.schema
        raise UnknownSchemaError(f"schema id {schema_id} is not pinned in this version")


class ConfluentRegistry:
    """A schema registry reached over Confluent's REST API, through confluent-kafka's client."""

    def __init__(self, url: str, settings: Mapping[str, str] | None = None) -> None:
        """Connect lazily.

        Args:
            url: Base URL, for Apicurio with its path ``/apis/ccompat/v7``.
            settings: Further settings of confluent-kafka's ``SchemaRegistryClient``, such as
                ``basic.auth.user.info`` or ``ssl.ca.location``.

        Raises:
            SchemasError: The registry client is not installed, or the settings are not its own.
        """
        try:
            from confluent_kafka.schema_registry import (  # noqa: PLC0415  # only with the extra
                SchemaRegistryClient,
            )
        except ImportError as error:
            raise SchemasError(
                "A schema registry needs its client: pip install 'inferwatch[registry]'."
            ) from error
        self.url = url
        options: dict[str, Any] = {"url": url, "max.retries": 1, "timeout": ANSWER_SECONDS}
        options |= settings or {}
        try:
            self._client = SchemaRegistryClient(options)
        except ValueError as error:
            raise SchemasError(f"Schema registry settings: {error}.") from error
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, Schema] = {}

    def id_of(self, name: str) -> int:
        """See ``Registry.id_of``."""
        if name not in self._ids:
            subject = topic_of(name).subject(name)
            found = self._ask(
                f"schema {name!r} under subject {subject!r}; run: inferwatch schemas register",
                lambda: self._client.lookup_schema(subject, _avro(releases.latest(name).text)),
            )
            if found.schema_id is None:
                raise UnknownSchemaError(
                    f"The schema registry at {self.url} has {subject!r} without an id."
                )
            self._ids[name] = found.schema_id
        return self._ids[name]

    def schema(self, schema_id: int) -> Schema:
        """See ``Registry.schema``."""
        if schema_id not in self._schemas:
            what = f"schema id {schema_id}"
            try:
                found = self._ask(what, lambda: self._client.get_schema(schema_id))
            except SchemaRefusedError as error:
                # An id that the registry will not even look up, out of its range for one.
                raise UnknownSchemaError(str(error)) from error
            if found.schema_type != "AVRO" or found.schema_str is None:
                raise UnknownSchemaError(
                    f"Schema id {schema_id} at {self.url} is {found.schema_type}, not AVRO."
                )
            self._schemas[schema_id] = json.loads(found.schema_str)
        return self._schemas[schema_id]

    def register(self, release: Release) -> int:
        """Register one release under its topic's subject, and return its id there.

        Raises:
            SchemaRefusedError: The registry finds it incompatible.
            RegistryUnavailableError: The registry did not answer.
        """
        subject = topic_of(release.name).subject(release.name)
        return int(
            self._ask(
                f"subject {subject!r}",
                lambda: self._client.register_schema(subject, _avro(release.text)),
            )
        )

    def require_backward(self) -> None:
        """Set BACKWARD compatibility on every subject of the catalogue."""
        from confluent_kafka.schema_registry import (  # noqa: PLC0415  # as above
            ConfigCompatibilityLevel,
            ServerConfig,
        )

        backward = ServerConfig(compatibility=ConfigCompatibilityLevel.BACKWARD)
        for topic in TOPICS:
            for name in topic.schemas:
                subject = topic.subject(name)
                self._ask(
                    f"subject {subject!r}",
                    lambda subject=subject: self._client.set_config(  # type: ignore[misc]  # lambda default
                        subject, backward
                    ),
                )

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        from confluent_kafka.schema_registry import SchemaRegistryError  # noqa: PLC0415  # as above

        try:
            return call()
        except SchemaRegistryError as error:
            if error.http_status_code == HTTP_NOT_FOUND:
                raise UnknownSchemaError(
                    f"The schema registry at {self.url} does not know {what}."
                ) from error
            if error.http_status_code in (HTTP_CONFLICT, HTTP_UNPROCESSABLE):
                raise SchemaRefusedError(
                    f"The schema registry at {self.url} refuses {what}: {error.error_message}"
                ) from error
            raise RegistryUnavailableError(
                f"The schema registry at {self.url} failed with HTTP {error.http_status_code}: "
                f"{error.error_message}"
            ) from error
        except (AttributeError, KeyError, TypeError):
            # No answer of a registry, but a defect here or in its client.
            raise
        except Exception as error:
            # The client lets its HTTP library's errors through, and the library changes
            # between its versions.
            raise RegistryUnavailableError(
                f"The schema registry at {self.url} does not answer: {error}."
            ) from error


def open_registry(url: str | None) -> Registry:
    """The registry of a URL, or the pinned ids without one.

    Raises:
        SchemasError: The registry client is not installed.
    """
    return PinnedRegistry() if url is None else ConfluentRegistry(url)


def _avro(text: str) -> Any:
    from confluent_kafka.schema_registry import Schema as AvroText  # noqa: PLC0415  # as above

    return AvroText(text, "AVRO")
