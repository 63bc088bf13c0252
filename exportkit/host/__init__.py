"""Plugins: found, isolated from each other and from the host, and called through one facade."""

from exportkit.host.destination import Destination
from exportkit.host.loader import Host, load_plugins
from exportkit.host.plugin import BrokenPlugin, Plugin

__all__ = ["BrokenPlugin", "Destination", "Host", "Plugin", "load_plugins"]
