"""Errors of schemas, wire format and registry."""


class SchemasError(Exception):
    """Base of everything this component raises."""


class EncodeError(SchemasError):
    """A record does not fit its schema; the message names the field."""


class UnknownSchemaError(SchemasError):
    """No registry in use knows a schema id or name, and none will later."""


class RegistryUnavailableError(SchemasError):
    """The schema registry did not answer: the same question may be asked again."""


class SchemaRefusedError(SchemasError):
    """The registry, or our own check, refuses a schema: the message says which field and why."""


class KafkaUnavailableError(SchemasError):
    """No broker answered in time: the same question may be asked again."""


class KafkaRefusedError(SchemasError):
    """A broker answered that it will not: the message gives its reason."""


class EmitError(SchemasError):
    """The broker did not acknowledge records that were sent to it."""
