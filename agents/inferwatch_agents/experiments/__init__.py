"""A/B experiments: who gets which variant, and the events by which they are counted."""
