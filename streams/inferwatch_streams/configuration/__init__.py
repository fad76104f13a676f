"""Files of configuration: YAML held against a JSON Schema, with errors that name file and line."""
