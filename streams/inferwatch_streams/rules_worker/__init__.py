"""The role rules: aggregate rows and commands in, alerts out, by one leader."""
