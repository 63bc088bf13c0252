"""Who may send what where, and with whose agreement."""
