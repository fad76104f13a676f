"""Channels: one module for each way of reaching people and tools."""
