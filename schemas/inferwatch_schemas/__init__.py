"""Event schemas, topics and the wire format that every other part of Inferwatch shares."""
