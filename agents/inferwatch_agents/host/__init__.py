"""The host agent: samples a machine and its GPUs, and tells what happens to them."""
