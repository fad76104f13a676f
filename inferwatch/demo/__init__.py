"""The demo: the whole pipeline on this machine, with a load and a live view."""
