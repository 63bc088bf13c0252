"""Constant Contact for exportkit. Nothing here can send yet, so no entry point announces it."""

__version__ = "0.1.0.dev0"
