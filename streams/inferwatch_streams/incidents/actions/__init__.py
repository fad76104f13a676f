"""Response actions that need nothing but HTTP, or nothing at all."""
