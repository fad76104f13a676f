"""Windows of event time: aggregate rows kept by group and slot, and read over any span."""
