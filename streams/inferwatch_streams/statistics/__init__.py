"""Statistics that rules rest on: pure functions of numbers, robust where production is not tidy."""
