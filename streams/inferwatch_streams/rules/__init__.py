"""Rules: what is looked for in windows, as pure functions of them."""
