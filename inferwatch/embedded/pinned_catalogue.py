"""What a read-only schema registry answers: pinned ids in the terms of Confluent's REST API.

Paths, status codes and error codes follow
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import fastavro.schema

Answer = dict[str, Any] | list[Any]


@dataclass(frozen=True)
class PinnedSchema:
    """One version of a subject's Avro schema, with the id it has in every installation.

    Attributes:
        id: the id in Confluent's wire format, unique among the pinned schemas.
        subject: the subject, such as `inferwatch.requests-value`.
        version: the version within the subject, from 1.
        schema: the Avro schema as JSON.
    """

    id: int
    subject: str
    version: int
    schema: str


class _RefusedError(Exception):
    """A request that is answered with a status and an error code of Confluent's API."""

    def __init__(self, status: HTTPStatus, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: Answer = {"error_code": code, "message": message}


class PinnedCatalogue:
    """What a registry of pinned schemas answers; no network here."""

    def __init__(self, schemas: Sequence[PinnedSchema]) -> None:
        self._by_id = {schema.id: schema for schema in schemas}
        subjects: dict[str, list[PinnedSchema]] = {}
        for schema in sorted(schemas, key=lambda schema: schema.version):
            subjects.setdefault(schema.subject, []).append(schema)
        self._subjects: Mapping[str, Sequence[PinnedSchema]] = subjects
        reads: list[tuple[str, Callable[..., Answer]]] = [
            (r"/", dict),
            (r"/config(?:/[^/]+)?", lambda: {"compatibilityLevel": "BACKWARD"}),
            (r"/mode(?:/[^/]+)?", lambda: {"mode": "READONLY"}),
            (r"/schemas/types", lambda: ["AVRO"]),
            (r"/schemas/ids/([^/]+)", self._schema),
            (r"/schemas/ids/([^/]+)/versions", self._versions_of_id),
            (r"/schemas/ids/([^/]+)/subjects", lambda wanted: [self._of_id(wanted).subject]),
            (r"/subjects", lambda: sorted(subjects)),
            (r"/subjects/([^/]+)/versions", self._versions),
            (r"/subjects/([^/]+)/versions/([^/]+)", self._version),
        ]
        writes: list[tuple[str, Callable[..., Answer]]] = [
            (r"/subjects/([^/]+)", self._lookup),
            (r"/subjects/([^/]+)/versions", self._register),
        ]
        self._routes = {
            method: [(re.compile(pattern), answer) for pattern, answer in routes]
            for method, routes in (("GET", reads), ("POST", writes))
        }

    def answer(self, method: str, path: str, body: bytes = b"") -> tuple[HTTPStatus, Answer]:
        """Answer one request.

        Args:
            method: the HTTP method.
            path: the request's target, quoted, with or without a query.
            body: the request's body.

        Returns:
            The status and what to send as JSON; never raises for what a client sent.
        """
        try:
            return HTTPStatus.OK, self._dispatch(method, urlsplit(path).path, body)
        except _RefusedError as refused:
            return refused.status, refused.body

    def _dispatch(self, method: str, path: str, body: bytes) -> Answer:
        plain = path.rstrip("/") or "/"
        for pattern, answer in self._routes.get(method, ()):
            match = pattern.fullmatch(plain)
            if match:
                parts = [unquote(part) for part in match.groups()]
                return answer(*parts, *([body] if method == "POST" else []))
        if method != "GET":
            raise _read_only()
        raise _RefusedError(HTTPStatus.NOT_FOUND, 404, f"HTTP 404 Not Found: {plain}")

    def _of_id(self, wanted: str) -> PinnedSchema:
        found = self._by_id.get(int(wanted)) if _is_number(wanted) else None
        if found is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, 40403, f"Schema {wanted} not found")
        return found

    def _schema(self, wanted: str) -> Answer:
        return {"schema": self._of_id(wanted).schema}

    def _versions_of_id(self, wanted: str) -> Answer:
        found = self._of_id(wanted)
        return [{"subject": found.subject, "version": found.version}]

    def _of_subject(self, subject: str) -> Sequence[PinnedSchema]:
        found = self._subjects.get(subject)
        if found is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, 40401, f"Subject '{subject}' not found.")
        return found

    def _versions(self, subject: str) -> Answer:
        return [schema.version for schema in self._of_subject(subject)]

    def _version(self, subject: str, wanted: str) -> Answer:
        schemas = self._of_subject(subject)
        if wanted in ("latest", "-1"):
            return _described(schemas[-1])
        if not _is_number(wanted) or int(wanted) < 1:
            raise _RefusedError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                42202,
                f"The specified version '{wanted}' is not a valid version id.",
            )
        for schema in schemas:
            if schema.version == int(wanted):
                return _described(schema)
        raise _RefusedError(HTTPStatus.NOT_FOUND, 40402, f"Version {wanted} not found.")

    def _same(self, subject: str, body: bytes) -> PinnedSchema | None:
        wanted = _avro_of(body)
        schemas = self._subjects.get(subject, ())
        for schema in schemas:
            if json.loads(schema.schema) == wanted:
                return schema
        # Clients print a schema in their own way (Java's drops redundant namespaces); with the same
        # canonical form it writes the same bytes.
        canonical = _canonical(wanted)
        for schema in reversed(schemas):
            if _canonical(json.loads(schema.schema)) == canonical:
                return schema
        return None

    def _lookup(self, subject: str, body: bytes) -> Answer:
        self._of_subject(subject)
        found = self._same(subject, body)
        if found is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, 40403, "Schema not found")
        return _described(found)

    def _register(self, subject: str, body: bytes) -> Answer:
        found = self._same(subject, body)
        if found is None:
            raise _read_only()
        return {"id": found.id}


def _read_only() -> _RefusedError:
    return _RefusedError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        42205,
        "The schemas are pinned and this registry is read-only: use a schema registry of your own "
        "to register others.",
    )


def _avro_of(body: bytes) -> Any:
    try:
        request = json.loads(body)
        if request.get("schemaType", "AVRO") == "AVRO":
            return json.loads(request["schema"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _invalid(error) from error
    raise _invalid("only Avro schemas are pinned")


def _canonical(schema: Any) -> str:
    """Return the Parsing Canonical Form (Avro 1.12 specification, section of that name)."""
    try:
        form: str = fastavro.schema.to_parsing_canonical_form(schema)
    except (fastavro.schema.SchemaParseException, KeyError, TypeError, ValueError) as error:
        raise _invalid(error) from error
    return form


def _invalid(reason: object) -> _RefusedError:
    return _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, 42201, f"Invalid Avro schema: {reason!s}")


def _described(schema: PinnedSchema) -> Answer:
    return {
        "subject": schema.subject,
        "version": schema.version,
        "id": schema.id,
        "schema": schema.schema,
    }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
