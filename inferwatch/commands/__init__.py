"""The subcommands of inferwatch, one module each."""
